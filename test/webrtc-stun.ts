/** STUN servers (RFC 8489) for tests, on loopback. */

import dgram from 'node:dgram';
import { once } from 'node:events';
import type { IceServer } from '../dataplane/io/webrtc.ts';

export interface StunServer {
  readonly server: IceServer;
  /** Requests that came. */
  readonly requests: () => number;
  close(): void;
}

/** Answers every request with what `reply` returns, which is told how many there were. */
export async function hostileServer(
  reply: (request: Buffer, count: number) => readonly Uint8Array[],
): Promise<StunServer> {
  const socket = dgram.createSocket('udp4');
  let requests = 0;
  socket.on('message', (request, from) => {
    requests += 1;
    for (const bytes of reply(request, requests)) socket.send(bytes, from.port, from.address, () => {});
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  const server = { kind: 'turn', host: '127.0.0.1', port, user: 'u', credential: 'c' } as const;
  return { server, requests: () => requests, close: () => socket.close() };
}

/** Tells every client that its address is `mapped`, or where that is undefined answers nothing. */
export async function stunServer(mapped: { address: string; port: number } | undefined): Promise<StunServer> {
  const socket = dgram.createSocket('udp4');
  let requests = 0;
  socket.on('message', (request, from) => {
    requests += 1;
    if (mapped === undefined || request.readUInt16BE(0) !== 0x0001) return;
    const response = Buffer.alloc(32);
    response.writeUInt16BE(0x0101, 0);
    response.writeUInt16BE(12, 2);
    request.copy(response, 4, 4, 20);
    // XOR-MAPPED-ADDRESS, 8 bytes: family IPv4, then port and address under the magic cookie.
    response.writeUInt16BE(0x0020, 20);
    response.writeUInt16BE(8, 22);
    response.writeUInt16BE(0x0001, 24);
    response.writeUInt16BE(mapped.port ^ 0x2112, 26);
    mapped.address.split('.').forEach((byte, i) => {
      response[28 + i] = Number(byte) ^ [0x21, 0x12, 0xa4, 0x42][i]!;
    });
    socket.send(response, from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const server = { kind: 'stun', host: '127.0.0.1', port: socket.address().port } as const;
  return { server, requests: () => requests, close: () => socket.close() };
}

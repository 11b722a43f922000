/**
 * Super-packets of coalesce.c against a real kernel, which delivers them to sockets:
 *
 *     packets ──▶ coalesce.c ──▶ TUN device ──▶ the namespace's TCP and UDP
 */
import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { release } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import {
  build,
  type Fields,
  flag,
  ipLength,
  ipv6,
  type Kind,
  plain,
} from '../test/native/coalesce-packets.ts';
import { compile, nativeSources } from '../test/native/compile.ts';
import { ip, ipJson } from '../test/native/interfaces.ts';
import { inNamespace } from '../test/native/namespace.ts';
import { waitFor } from '../test/native/wait.ts';

const device = 'cn-coalesce';
const port = 443;

/** Fits the window that a connection begins with. */
const pieces = 40;
const size = 1400;

const [major = 0, minor = 0] = release().split('.').map(Number);
const noUdp = major > 6 || (major === 6 && minor >= 2) ? false : 'the kernel takes no UDP super-packets';

if (inNamespace(import.meta.filename, 'super-packets in a network namespace')) define();

function define(): void {
  let child: ChildProcessWithoutNullStreams;
  const lines: string[] = [];
  const sent: Buffer[] = [];

  before(async () => {
    const sources = ['coalesce', 'checksum'].map((name) => join(nativeSources, `${name}.c`));
    child = spawn(compile('coalesce-tun', [join(import.meta.dirname, 'coalesce-tun.c'), ...sources]), [
      device,
    ]);
    child.stderr.pipe(process.stderr);
    createInterface(child.stdout).on('line', (line) => {
      if (line.startsWith('packet ')) sent.push(Buffer.from(line.slice(7), 'hex'));
      else lines.push(line);
    });
    await waitFor('the device', () => lines.shift() === 'ready');
    ip('address', 'add', '192.0.2.2/24', 'dev', device);
    ip('link', 'set', device, 'up');
    ip('address', 'add', '2001:db8::2/64', 'dev', device, 'nodad');
  });

  after(async () => {
    const closed = once(child, 'close');
    child.stdin.end();
    assert.deepEqual(await closed, [0, null]);
  });

  for (const kind of ['TCP over IPv4', 'TCP over IPv6'] as const) {
    test(`a connection gets what ${pieces} packets of ${kind} carry by one write`, async (t) => {
      const server = createServer({ allowHalfOpen: true }).listen(port, addressOf(kind));
      await once(server, 'listening');
      const connected = once(server, 'connection');
      const syn = { ...plain, kind, options: [], flags: flag.syn, acknowledgment: 0, window: 65535 };
      await write([syn]);
      const reply = await waitFor('SYN and ACK', () => sent.find((packet) => isSynAck(packet, kind)));
      const acknowledgment = (reply.readUInt32BE(ipLength(kind) + 4) + 1) >>> 0;
      const first = { ...syn, flags: flag.ack, acknowledgment, sequence: syn.sequence + 1 };
      await write([first]);
      const [socket] = (await connected) as [Socket];
      t.after(() => {
        socket.destroy();
        server.close();
      });
      let received = Buffer.alloc(0);
      socket.on('data', (bytes) => {
        received = Buffer.concat([received, bytes]);
      });

      const packets = payloads().map((payload, i) => ({
        ...first,
        sequence: first.sequence + i * size,
        identification: first.identification + i,
        flags: i === pieces - 1 ? flag.ack | flag.psh : flag.ack,
        payload,
      }));
      const earlier = receivedPackets();
      assert.equal(await write(packets), 1);
      await waitFor('the bytes', () => received.length === pieces * size);
      assert.deepEqual(received, Buffer.concat(payloads()));
      assert.equal(receivedPackets() - earlier, 1);
    });
  }

  for (const kind of ['UDP over IPv4', 'UDP over IPv6'] as const) {
    test(`a socket gets each of ${pieces} datagrams of ${kind} by one write`, { skip: noUdp }, async (t) => {
      const socket = createSocket(ipv6(kind) ? 'udp6' : 'udp4');
      t.after(() => socket.close());
      const received: Buffer[] = [];
      socket.on('message', (bytes) => received.push(bytes));
      socket.bind(port, addressOf(kind));
      await once(socket, 'listening');

      const datagrams = payloads();
      datagrams[pieces - 1] = datagrams[pieces - 1]!.subarray(0, 9);
      const packets = datagrams.map((payload, i) => ({ ...plain, kind, identification: i, payload }));
      const earlier = receivedPackets();
      assert.equal(await write(packets), 1);
      await waitFor('the datagrams', () => received.length === pieces);
      assert.deepEqual(received, datagrams);
      assert.equal(receivedPackets() - earlier, 1);
    });
  }

  /** Adds these and flushes. Resolves with the number of writes. */
  async function write(packets: readonly Fields[]): Promise<number> {
    const parts = packets.map(build).flatMap((packet) => [u32(packet.length), packet]);
    const input = Buffer.concat(parts);
    child.stdin.write(Buffer.concat([u32(input.length), input]));
    const line = await waitFor('the writes', () => lines.shift());
    return Number(line.replace('wrote ', ''));
  }
}

function addressOf(kind: Kind): string {
  return ipv6(kind) ? '2001:db8::2' : '192.0.2.2';
}

function isSynAck(packet: Buffer, kind: Kind): boolean {
  const flags = packet[ipLength(kind) + 13];
  return packet[0]! >> 4 === (ipv6(kind) ? 6 : 4) && flags === (flag.syn | flag.ack);
}

function payloads(): Buffer[] {
  return Array.from({ length: pieces }, (_, i) => Buffer.alloc(size, `${i},`));
}

/** Packets that the kernel has got from the device; a super-packet is one. */
function receivedPackets(): number {
  return ipJson('-statistics', 'link', 'show', 'dev', device)[0].stats64.rx.packets;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** A bootstrap server on loopback, and clients of all kinds. */
import { generateKeyPairSync } from 'node:crypto';
import type { TestContext } from 'node:test';
import { WebSocket } from 'ws';
import { BootstrapClient } from '../control/io/bootstrap-client.ts';
import {
  type BootstrapServer,
  openBootstrapServer,
  type ServerEvents,
} from '../control/io/bootstrap-server.ts';
import { tokenKey } from '../control/io/crypto.ts';
import { ClientHandshake, type Local, type Proven } from '../control/io/handshake.ts';
import { NeighborSocket, shakeHands } from '../control/io/neighbor-socket.ts';
import type { Outgoing } from '../control/io/outgoing.ts';
import type { CryonetError } from '../protocol/errors.ts';
import { subprotocol } from '../protocol/handshake.ts';
import type { NeighborMessage } from '../protocol/signaling.ts';
import { waitFor } from './native/wait.ts';

const keys = new Map(['token', 'another'].map((each) => [each, tokenKey(each)]));
export const alive = { type: 'alive', digest: new Uint8Array(8), ask: [] } satisfies NeighborMessage;

export function local(id: string, token = 'token'): Local {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const x = publicKey.export({ format: 'jwk' }).x!;
  const identity = { privateKey, publicKey: new Uint8Array(Buffer.from(x, 'base64url')) };
  return { id, epoch: 1_764_000_000_000, identity, tokenKey: keys.get(token)! };
}

export interface Served {
  readonly server: BootstrapServer;
  readonly url: string;
  readonly port: number;
  readonly local: Local;
  readonly neighbors: {
    neighbor: NeighborSocket;
    messages: NeighborMessage[];
    ends: (CryonetError | undefined)[];
  }[];
  readonly refused: CryonetError[];
}

export async function serve(
  context: TestContext,
  id = 'server',
  token = 'token',
  port = 0,
  admit: ServerEvents['admit'] = async () => undefined,
  tls: { readonly cert: string; readonly key: string } | null = null,
): Promise<Served> {
  const neighbors: Served['neighbors'] = [];
  const refused: CryonetError[] = [];
  const own = local(id, token);
  const server = await openBootstrapServer({ host: '127.0.0.1', port }, tls, own, {
    admit,
    refused: (_address, cause) => void refused.push(cause),
    neighbor: (socket, proven) => {
      const messages: NeighborMessage[] = [];
      const ends: (CryonetError | undefined)[] = [];
      const neighbor = new NeighborSocket(socket, proven, {
        message: (message) => void messages.push(message),
        closed: (cause) => void ends.push(cause),
      });
      neighbors.push({ neighbor, messages, ends });
    },
  });
  context.after(() => {
    for (const { neighbor } of neighbors) neighbor.close();
    server.close();
  });
  return {
    server,
    url: `${tls === null ? 'ws' : 'wss'}://127.0.0.1:${server.address.port}`,
    port: server.address.port,
    local: own,
    neighbors,
    refused,
  };
}

/** A WebSocket that is open, and nothing else. */
export async function open(
  context: TestContext,
  { url }: Served,
): Promise<{ socket: WebSocket; closed: { code: number | undefined } }> {
  const socket = new WebSocket(url, subprotocol);
  const closed: { code: number | undefined } = { code: undefined };
  socket.on('error', () => {});
  socket.on('close', (code) => {
    closed.code = code;
  });
  context.after(() => socket.terminate());
  await waitFor('the WebSocket', () => socket.readyState === socket.OPEN);
  return { socket, closed };
}

export async function join(
  context: TestContext,
  served: Served,
  own = local('client'),
): Promise<{ socket: WebSocket; proven: Proven; closed: { code: number | undefined } }> {
  const { socket, closed } = await open(context, served);
  const handshake = new ClientHandshake(own);
  const { proven } = await shakeHands(socket, handshake, handshake.start());
  return { socket, proven, closed };
}

interface Dialed {
  readonly client: BootstrapClient;
  readonly proven: Proven[];
  readonly failures: CryonetError[];
}

export function dial(context: TestContext, url: string, own: Local, outgoing?: Outgoing): Dialed {
  const proven: Proven[] = [];
  const failures: CryonetError[] = [];
  const client: BootstrapClient = new BootstrapClient(
    url,
    own,
    50,
    {
      neighbor: (socket, server) => {
        proven.push(server);
        socket.once('close', () => client.lost());
        context.after(() => socket.terminate());
      },
      failed: (_url, cause) => void failures.push(cause),
    },
    outgoing,
  );
  context.after(() => client.close());
  return { client, proven, failures };
}

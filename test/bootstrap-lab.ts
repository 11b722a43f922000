/** A bootstrap server on loopback, and clients of all kinds. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
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
import { newIdentity } from './identity.ts';
import { waitFor } from './native/wait.ts';

const keys = new Map<string, Uint8Array>();
for (const each of ['token', 'another']) keys.set(each, await tokenKey(each));
export const alive = { type: 'alive', digest: new Uint8Array(8), ask: [] } satisfies NeighborMessage;

export function local(id: string, token = 'token'): Local {
  return { id, epoch: 1_764_000_000_000, identity: newIdentity(), tokenKeys: [keys.get(token)!] };
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

export interface ServeOptions {
  readonly token?: string;
  readonly port?: number;
  readonly tls?: { readonly cert: string; readonly key: string } | null;
  readonly events?: Partial<ServerEvents>;
}

export async function serve(
  context: TestContext,
  { token = 'token', port = 0, tls = null, events = {} }: ServeOptions = {},
): Promise<Served> {
  const neighbors: Served['neighbors'] = [];
  const refused: CryonetError[] = [];
  const own = local('server', token);
  const server = await openBootstrapServer({ host: '127.0.0.1', port }, tls, own, {
    admit: async () => undefined,
    refused: (_address, cause) => void refused.push(cause),
    neighbor: (socket, proven) => {
      const messages: NeighborMessage[] = [];
      const ends: (CryonetError | undefined)[] = [];
      const neighbor = new NeighborSocket(socket, proven, {
        admits: () => true,
        carried: () => true,
        message: (message) => void messages.push(message),
        closed: (cause) => void ends.push(cause),
      });
      neighbors.push({ neighbor, messages, ends });
    },
    ...events,
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
  localAddress = '127.0.0.1',
): Promise<{ socket: WebSocket; closed: { code: number | undefined } }> {
  const socket = new WebSocket(url, subprotocol, { localAddress, rejectUnauthorized: false });
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
  localAddress = '127.0.0.1',
): Promise<{ socket: WebSocket; proven: Proven; closed: { code: number | undefined } }> {
  const { socket, closed } = await open(context, served, localAddress);
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

/** Sends bytes over TCP; resolves with what came back once the server closed. */
export function rawExchange(
  context: TestContext,
  { port }: Served,
  bytes: string | Uint8Array,
): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', () => {});
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
    context.after(() => socket.destroy());
    socket.write(bytes);
  });
}

/** Who says nothing, or a byte now and then, is closed thirty seconds after it connected; who has proved itself is not. */
export async function outlastsProof(context: TestContext, tls: ServeOptions['tls']): Promise<void> {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const served = await serve(context, { tls });
  const [idle, slow] = [0, 1].map(() => connect(served.port, '127.0.0.1').on('error', () => {}));
  for (const socket of [idle!, slow!]) {
    context.after(() => socket.destroy());
    await once(socket, 'connect');
  }
  // The beginning of a request, or of a ClientHello (RFC 8446, section 4.1.2).
  const beginning = tls === null ? Buffer.from('GET / HTT') : Buffer.of(22, 3, 1, 2, 0, 1, 0, 1, 252);
  const socket = new WebSocket(served.url, subprotocol, { rejectUnauthorized: false });
  context.after(() => socket.terminate());
  await once(socket, 'open');
  const handshake = new ClientHandshake(local('client'));
  await shakeHands(socket, handshake, handshake.start());
  for (let half = 0; half < 60; half++) {
    assert.deepEqual([idle!.closed, slow!.closed], [false, false], `after ${half / 2} s`);
    if (half < beginning.length) slow!.write(beginning.subarray(half, half + 1));
    await inTurns();
    for (let i = 0; i < 2; i++) context.mock.timers.tick(250);
  }
  await Promise.all([once(idle!, 'close'), once(slow!, 'close')]);
  await inTurns();
  assert.equal(socket.readyState, socket.OPEN);
  assert.deepEqual(served.neighbors[0]!.ends, []);
  // Before the timers are real again: what began with the one kind must end with it.
  socket.terminate();
  while (served.neighbors[0]!.ends.length === 0) await inTurns();
  served.server.close();
  await inTurns();
}

async function inTurns(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

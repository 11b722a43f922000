/** The WebSocket that other nodes bootstrap through. */
import { lookup } from 'node:dns/promises';
import type { Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type WebSocket, WebSocketServer } from 'ws';
import { CryonetError, reasonOf, systemError } from '../../protocol/errors.ts';
import {
  type Hello,
  type Refusal,
  type RefuseCode,
  refuseCodes,
  subprotocol,
} from '../../protocol/handshake.ts';
import type { Welcome } from '../../protocol/invitation.ts';
import { encode } from '../../protocol/msgpack.ts';
import { loadServiceAddon } from '../../service/native.ts';
import { formatHostPort, type HostPort } from '../config/address.ts';
import { broker } from './broker.ts';
import { Guesses } from './guesses.ts';
import type { Invited, Proven } from './handshake.ts';
import { isSelf, type Local, refusal, ServerHandshake } from './handshake.ts';
import { createServer } from './http.ts';
import { messageLimits, shakeHands } from './neighbor-socket.ts';
import { farEnd, sourceOf, Unproven } from './unproven.ts';

/** Bytes of a client before it is proven, pings and all: ten times the two messages that it has to send. */
const maxUnprovenBytes = 8192;

/** Bytes: with all headers below the 1280 that every path of IPv6 carries, and some paths of IPv4 do not. */
const longestSegment = 1024;

export interface ServerEvents {
  /** Decides why a proven client is refused; undefined if it becomes a neighbor. */
  admit(client: Hello): Promise<Refusal | undefined>;
  /** A proven client refuses this node. */
  unwanted?(client: Hello, refusal: Refusal): void;
  neighbor(socket: WebSocket, proven: Proven): void;
  /** Who may be invited. */
  invited?: Invited;
  /** What is said to an invited client, which is no neighbor: why it is refused after all, or what it is given. */
  welcome?(client: Hello): Refusal | Welcome;
  /** `isPaced`: its source had a wrong token just before, too. */
  refused(client: HostPort, cause: CryonetError, isPaced: boolean): void;
  /** A connection of `source` had to make room before it proved anything. */
  crowded?(source: string): void;
}

export interface BootstrapServer {
  /** The address as bound, with the real port. */
  readonly address: HostPort;
  /** Closes the server and every connection. Idempotent. */
  close(): void;
}

/** Throws `port_in_use`, `unavailable` or `bad_config`. `source` says where the address is given, for error messages. */
export async function openBootstrapServer(
  at: HostPort,
  tls: { readonly cert: string; readonly key: string } | null,
  local: Local,
  events: ServerEvents,
  source = '--listen',
): Promise<BootstrapServer> {
  const server = makeServer(tls);
  const sockets = new WebSocketServer({
    noServer: true,
    ...messageLimits,
    handleProtocols: (offered) => (offered.has(subprotocol) ? subprotocol : false),
  });
  const unproven = new Unproven((source) => events.crowded?.(source));
  const guesses = new Guesses();
  server.on('connection', (socket) => unproven.add(socket));
  server.on('request', (_request, response) => {
    response.writeHead(426, { Upgrade: 'websocket', 'Content-Type': 'text/plain' });
    response.end('This is the bootstrap WebSocket of a cryonet node.\n');
  });
  server.on('clientError', (_error, socket) => socket.destroy());
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    const protocols = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
    if (!protocols.includes(subprotocol)) {
      socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
      return;
    }
    const from = farEnd(request.socket);
    const source = sourceOf(from.host);
    sockets.handleUpgrade(request, socket, head, (client) => {
      client.on('error', () => client.terminate());
      let received = 0;
      const count = (chunk: Buffer) => {
        received += chunk.length;
        if (received > maxUnprovenBytes) client.terminate();
      };
      socket.on('data', count);
      greet(client, local, events, () => guesses.pauseOf(source, performance.now())).then(
        (stays) => {
          if (!stays) return;
          socket.removeListener('data', count);
          unproven.proved(request.socket);
        },
        (error: unknown) => {
          const cause = error instanceof CryonetError ? error : new CryonetError('internal', reasonOf(error));
          const now = performance.now();
          events.refused(from, cause, guesses.pauseOf(source, now) > 0);
          if (cause.code === 'wrong_token') guesses.wrong(source, now);
        },
      );
    });
  });
  await listen(server, at, source);
  const bound = server.address();
  return {
    address: { host: at.host, port: typeof bound === 'object' && bound !== null ? bound.port : at.port },
    close() {
      server.close();
      server.closeAllConnections();
      for (const client of sockets.clients) client.terminate();
    },
  };
}

/** Whether the client has proved to be a member. One that is invited has its few bytes and seconds until it has gone. */
async function greet(
  client: WebSocket,
  local: Local,
  events: ServerEvents,
  pause: () => number,
): Promise<boolean> {
  const farewell = ({ code }: CryonetError) =>
    refuseCodes.some((known) => known === code) ? refusal(code as RefuseCode) : undefined;
  const handshake = new ServerHandshake(local, (key) => events.invited?.(key));
  const reception = { farewell, pause };
  const shaken = await shakeHands(client, handshake, undefined, reception);
  const { proven, last, refusal: unwanted } = shaken;
  if (shaken.isInvited && unwanted === undefined) {
    const answer = events.welcome!(proven.peer);
    if ('code' in answer) refuse(answer);
    client.send(last!);
    client.send(proven.outgoing.seal(encode(answer)));
    client.close(1000);
    return false;
  }
  if (isSelf(local, proven.peer) || unwanted !== undefined) {
    client.send(last!);
    client.close(4003, unwanted?.code ?? 'self_connection');
    if (unwanted !== undefined && !shaken.isInvited) events.unwanted?.(proven.peer, unwanted);
    return !shaken.isInvited;
  }
  const refused = await events.admit(proven.peer);
  if (refused !== undefined) refuse(refused);
  if (client.readyState !== client.OPEN) return true;
  client.send(last!);
  events.neighbor(client, proven);
  return true;

  function refuse(why: Refusal): never {
    client.send(handshake.refuse(why));
    client.close(4003, why.code);
    throw new CryonetError(why.code);
  }
}

function makeServer(tls: { readonly cert: string; readonly key: string } | null): Server {
  if (tls === null) return createServer();
  try {
    return createTlsServer(tls) as unknown as Server;
  } catch (cause) {
    throw new CryonetError('bad_config', `--tls-cert or --tls-key cannot be used: ${reasonOf(cause)}`, {
      cause,
    });
  }
}

async function listen(server: Server, at: HostPort, source: string): Promise<void> {
  try {
    await listenAt(server, at.host === '' ? '::' : at.host, at.port);
  } catch (cause) {
    const where = `${source} ${formatHostPort(at)}`;
    const { code = '' } = cause as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE')
      throw new CryonetError('port_in_use', `${where}: another program has that port`, { cause });
    throw systemError(`${where}: ${absent.get(code) ?? reasonOf(cause)}`, cause);
  }
  server.on('error', () => {});
  limitSegments(server);
}

/** Where a path drops longer packets and the message that says so, TCP waits without end for what never arrives. Signaling is
 *  short, and so may be its segments. */
function limitSegments(server: Server): void {
  const { _handle: handle } = server as unknown as { _handle?: { readonly fd: number } };
  try {
    if (handle !== undefined) loadServiceAddon().limitSegments(handle.fd, longestSegment);
  } catch {
    // By most paths they arrive at any length.
  }
}

/** The kernel lets control bind no port below 1024: it asks its broker, if it has one. */
async function listenAt(server: Server, host: string, port: number): Promise<void> {
  try {
    await listening(server, { host, port });
  } catch (cause) {
    if (broker === undefined || (cause as NodeJS.ErrnoException).code !== 'EACCES') throw cause;
    const { address } = await lookup(host);
    await listening(server, { fd: broker.boundSocket(address) });
  }
}

function listening(server: Server, where: { host: string; port: number } | { fd: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
}

const absent: ReadonlyMap<string, string> = new Map([
  ['EADDRNOTAVAIL', 'this machine does not have that address (EADDRNOTAVAIL)'],
  // The kernel's error for a link-local address whose interface is not there.
  ['EINVAL', 'this machine does not have that address (EINVAL)'],
  ['ENOTFOUND', 'that name has no address (ENOTFOUND)'],
  ['EAI_AGAIN', 'that name cannot be looked up (EAI_AGAIN)'],
]);

/** Keeps one WebSocket to a bootstrap server. It connects at once, and reconnects for ever with jittered backoff. */
import { type ClientOptions, WebSocket } from 'ws';
import { backoff } from '../../protocol/backoff.ts';
import { CryonetError, reasonOf } from '../../protocol/errors.ts';
import { subprotocol } from '../../protocol/handshake.ts';
import { Deadline } from './deadline.ts';
import { ClientHandshake, type Judge, type Local, type Proven, Refused } from './handshake.ts';
import { Turns } from './names.ts';
import { messageLimits, shakeHands } from './neighbor-socket.ts';
import { type Connect, Outgoing } from './outgoing.ts';
import { noProxies } from './proxy.ts';
import { Trust, tlsTrouble } from './trust.ts';

/** Milliseconds to be connected, names and proxies included; and then to open the WebSocket, TLS included. A machine that is
 *  overloaded accepts connections at once, since its kernel does, and its node says something much later. */
const connectTimeout = 8000;
const openTimeout = 20_000;

/** Milliseconds to rest where the server is this node itself, or has a connection with it already. It is tried again,
 *  because its name may lead elsewhere one day. */
const longestRest = 60_000;

export interface ClientEvents {
  /** Decides why a proven server is refused. */
  readonly judge?: Judge;
  /** The server proved itself. The receiver calls `lost` once this socket is closed. */
  neighbor(socket: WebSocket, proven: Proven): void;
  failed(url: string, cause: CryonetError): void;
}

/** Connections without a mark or a proxy, with the usual CAs. */
const plainly = new Outgoing({ mark: 0, unmarked: () => {}, trust: new Trust(null), proxies: noProxies });

export class BootstrapClient {
  /** The URL without credentials, for logs and status. */
  readonly url: string;
  readonly #target: string;
  state: 'connecting' | 'connected' | 'waiting' = 'waiting';
  /** ID of the server once it has proved itself. */
  id: string | null = null;
  error: string | null = null;
  readonly #local: Local;
  readonly #events: ClientEvents;
  /** Milliseconds of the longest pause between two tries. */
  readonly #limit: number;
  readonly #outgoing: Outgoing;
  readonly #turns = new Turns();
  /** It waits although nothing is wrong (`isAtRest`). */
  #resting = false;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #socket: WebSocket | undefined;
  #closed = false;

  constructor(url: string, local: Local, limit: number, events: ClientEvents, outgoing = plainly) {
    this.#target = url;
    this.url = withoutCredentials(url);
    this.#local = local;
    this.#limit = limit;
    this.#outgoing = outgoing;
    this.#events = events;
    this.#connect();
  }

  /** The socket handed out by `neighbor` is closed, so connect again. */
  lost(): void {
    this.#retry();
  }

  /** Ends a pause and connects at once, because the cause of failures may be gone. */
  hurry(): void {
    if (this.state !== 'waiting' || this.#closed) return;
    clearTimeout(this.#timer);
    this.#failures = 0;
    this.#connect();
  }

  /** Ends a rest, because its reason may be gone. */
  wake(): void {
    if (this.#resting) this.hurry();
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    if (this.state === 'connecting') this.#socket?.terminate();
  }

  #connect(): void {
    if (this.#closed) return;
    this.state = 'connecting';
    this.#resting = false;
    const end = new AbortController();
    let reason: unknown;
    // A timeout of inactivity would not end a server that sends a byte now and then.
    const within = (milliseconds: number) =>
      new Deadline(milliseconds, () => {
        reason ??= new CryonetError('connection_closed', `no WebSocket within ${milliseconds / 1000} s`);
        socket.terminate();
      });
    let deadline = within(connectTimeout);
    const connect = this.#outgoing.connect(new URL(this.#target), end.signal, this.#turns);
    const createConnection: Connect = (to, done) =>
      connect(to, (error, connection) => {
        deadline.clear();
        if (error === null) deadline = within(openTimeout);
        done(error, connection);
      });
    const socket = new WebSocket(this.#target, subprotocol, {
      ...messageLimits,
      // The frame after the server's proof may come in the same chunk, but its listener is set a microtask later.
      allowSynchronousEvents: false,
      // ws passes this on to node:http, but declares another type for it.
      createConnection: createConnection as unknown as NonNullable<ClientOptions['createConnection']>,
    });
    this.#socket = socket;
    socket.on('error', (error) => {
      reason ??= error;
    });
    const onClose = () => {
      deadline.clear();
      end.abort();
      this.#fail(reason === undefined ? new CryonetError('connection_closed') : this.#explained(reason));
    };
    socket.once('close', onClose);
    socket.once('open', () => {
      deadline.clear();
      socket.removeListener('close', onClose);
      const handshake = new ClientHandshake(this.#local, this.#events.judge);
      shakeHands(socket, handshake, handshake.start()).then(
        ({ proven }) => this.#succeed(socket, proven),
        (error: unknown) => this.#fail(asError(error)),
      );
    });
  }

  #explained(thrown: unknown): CryonetError {
    const words = tlsTrouble(thrown, new URL(this.#target).hostname, Date.now());
    return words === undefined
      ? asError(thrown)
      : new CryonetError('connection_closed', words, { cause: thrown });
  }

  #succeed(socket: WebSocket, proven: Proven): void {
    if (this.#closed) {
      socket.terminate();
      return;
    }
    this.state = 'connected';
    this.id = proven.peer.id;
    this.error = null;
    this.#failures = 0;
    this.#events.neighbor(socket, proven);
  }

  #fail(cause: CryonetError): void {
    if (this.#closed) return;
    this.error = cause.message;
    this.#turns.failed();
    this.#events.failed(this.url, cause);
    this.#resting = isAtRest(cause);
    if (this.#resting) this.#wait(Math.max(this.#limit, longestRest));
    else this.#retry();
  }

  #retry(): void {
    this.#wait(backoff(++this.#failures, this.#limit, Math.random()));
  }

  #wait(pause: number): void {
    if (this.#closed) return;
    this.state = 'waiting';
    this.#timer = setTimeout(() => this.#connect(), pause);
  }
}

/** Whether a failure is no fault. A list of servers that is the same on all nodes also names this node, and several names
 *  may lead to one server. */
export function isAtRest(cause: CryonetError): boolean {
  if (cause.code === 'self_connection') return true;
  return cause instanceof Refused && cause.code === 'already_connected' && cause.server !== undefined;
}

function asError(thrown: unknown): CryonetError {
  return thrown instanceof CryonetError
    ? thrown
    : new CryonetError('connection_closed', refusedReason(thrown) ?? reasonOf(thrown), { cause: thrown });
}

/** Words for ECONNREFUSED, which mostly means that the other node listens on loopback only, its default. The error of a
 *  name with several addresses has no text of its own. */
function refusedReason(thrown: unknown): string | undefined {
  if ((thrown as NodeJS.ErrnoException).code !== 'ECONNREFUSED') return undefined;
  return 'connection refused (ECONNREFUSED): nothing listens there; has that node a --listen that others reach?';
}

function withoutCredentials(text: string): string {
  const url = new URL(text);
  url.username = '';
  url.password = '';
  return url.href;
}

/** Keeps one WebSocket to a bootstrap server. It connects at once, and reconnects for ever with jittered backoff. */
import type { WebSocket } from 'ws';
import { backoff } from '../../protocol/backoff.ts';
import type { CryonetError } from '../../protocol/errors.ts';
import { ClientHandshake, type Judge, type Local, type Proven, Refused } from './handshake.ts';
import { Turns } from './names.ts';
import { shakeHands } from './neighbor-socket.ts';
import { openWebSocket } from './opening.ts';
import { Outgoing } from './outgoing.ts';
import { noProxies } from './proxy.ts';
import { Trust } from './trust.ts';

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
    const { socket, opened } = openWebSocket(this.#target, this.#outgoing, this.#turns);
    this.#socket = socket;
    const shaken = opened.then(() => {
      const handshake = new ClientHandshake(this.#local, this.#events.judge);
      return shakeHands(socket, handshake, handshake.start());
    });
    shaken.then(
      ({ proven }) => this.#succeed(socket, proven),
      (error: CryonetError) => this.#fail(error),
    );
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

function withoutCredentials(text: string): string {
  const url = new URL(text);
  url.username = '';
  url.password = '';
  return url.href;
}

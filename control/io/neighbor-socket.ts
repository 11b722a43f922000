/** A WebSocket to a neighbor: first the handshake, then sealed frames, each of which has one message. */
import type { WebSocket } from 'ws';
import { type Carried, decodeCarried, isCarried } from '../../protocol/carried.ts';
import { CryonetError, reasonOf } from '../../protocol/errors.ts';
import type { Hello, Refusal } from '../../protocol/handshake.ts';
import { encode } from '../../protocol/msgpack.ts';
import { parse } from '../../protocol/schema.ts';
import { maxNeighborFrame, type NeighborMessage, neighborMessage } from '../../protocol/signaling.ts';
import { Deadline } from './deadline.ts';
import type { Proven } from './handshake.ts';

/** Milliseconds. An overloaded machine needs seconds for each message of a handshake. */
const handshakeTimeout = 20_000;
const pingInterval = 10_000;
/** Pings without a word in answer after which a neighbor counts as gone. An overloaded one may be late for the first. */
const unansweredPings = 2;

/** Milliseconds for which nothing is read from a neighbor that sends too much. */
const restTime = 100;

/** Unsent bytes above which packets of a link are lost, so that they keep signaling waiting for a moment at most. */
const maxUnsentPackets = 262_144;

/** Unsent bytes after which a neighbor counts as gone. */
const maxBacklog = 8_388_608;

/** Bytes of a sealed frame, which has a 16-byte tag. */
export const maxWebSocketFrame = maxNeighborFrame + 16;

/** What a WebSocket, of either side, keeps of a message that is not whole. We send no fragments, but a proxy might. Each
 *  holds the chunk that it came in, of up to 64 KiB. A chunk is what the kernel had at a time: mostly whole segments. */
export const messageLimits = {
  maxPayload: maxWebSocketFrame,
  maxFragments: 64,
  maxBufferedChunks: 4096,
  perMessageDeflate: false,
} as const;

export interface SocketEvents {
  /** Whether a message of so many bytes may be decoded. If not, it is dropped, and nothing is read for a moment. */
  admits(bytes: number): boolean;
  message(message: NeighborMessage): void;
  /** One of a connection that goes by this WebSocket (`protocol/carried.ts`). False: it sends more than it may, and nothing is
   *  read for a moment. */
  carried(message: Carried, bytes: number): boolean;
  /** Last event. `cause` is undefined where the other side closed in order. */
  closed(cause: CryonetError | undefined): void;
}

/** One side of the handshake, a `ClientHandshake` or a `ServerHandshake`. */
export interface Handshake {
  receive(frame: Uint8Array): {
    send?: Uint8Array;
    proven?: Proven;
    refusal?: Refusal | undefined;
    /** The other side has an invitation, and is no neighbor. */
    isInvited?: boolean;
  };
}

interface Shaken {
  readonly proven: Proven;
  readonly last: Uint8Array | undefined;
  readonly refusal: Refusal | undefined;
  readonly isInvited: boolean;
}

/** How a server receives clients. */
export interface Reception {
  /** The last message to a client whose handshake fails for that cause, if any. */
  farewell(cause: CryonetError): Uint8Array | undefined;
  /** Milliseconds that a message waits until it is looked at. */
  pause(): number;
}

/** Runs a handshake over an open socket. If it fails, closes the socket, after the last message of a server, and rejects
 *  with the cause. */
export function shakeHands(
  socket: WebSocket,
  handshake: Handshake,
  first: Uint8Array | undefined,
  reception?: Reception,
): Promise<Shaken> {
  return new Promise((resolve, reject) => {
    let isOver = false;
    const finish = (settle: () => void) => {
      isOver = true;
      deadline.clear();
      socket.removeAllListeners('message');
      socket.removeListener('close', onClose);
      settle();
    };
    const fail = (thrown: unknown) => {
      const cause =
        thrown instanceof CryonetError
          ? thrown
          : new CryonetError('bad_message', reasonOf(thrown), { cause: thrown });
      const last = reception?.farewell(cause);
      if (last !== undefined) socket.send(last);
      socket.close(4003, cause.code);
      finish(() => reject(cause));
    };
    const onClose = () =>
      finish(() => reject(new CryonetError('connection_closed', 'closed during the handshake')));
    const deadline = new Deadline(handshakeTimeout, () =>
      fail(new CryonetError('connection_closed', 'the handshake took too long')),
    );
    socket.on('close', onClose);
    const take = (received: Buffer, isBinary: boolean) => {
      if (isOver) return;
      try {
        if (!isBinary) throw new CryonetError('bad_message', 'a text message');
        const { send, proven, refusal, isInvited = false } = handshake.receive(received);
        if (proven !== undefined) finish(() => resolve({ proven, last: send, refusal, isInvited }));
        else if (send !== undefined) socket.send(send);
      } catch (error) {
        fail(error);
      }
    };
    socket.on('message', (received: Buffer, isBinary: boolean) => {
      const wait = reception?.pause() ?? 0;
      if (wait === 0) {
        take(received, isBinary);
        return;
      }
      // Nothing more is read meanwhile: what waits takes memory, and nobody has proved anything yet.
      socket.pause();
      setTimeout(() => {
        socket.resume();
        take(received, isBinary);
      }, wait);
    });
    if (first !== undefined) socket.send(first);
  });
}

export class NeighborSocket {
  readonly peer: Hello;
  /** Whether the other side opened the connection. */
  readonly opened: boolean;
  /** The epoch of the other side, which may grow after its hello. */
  epoch: number;
  readonly #socket: WebSocket;
  readonly #proven: Proven;
  readonly #events: SocketEvents;
  #keepAlive: Deadline;
  #resting: NodeJS.Timeout | undefined;
  #unanswered = 0;
  #closed = false;

  constructor(socket: WebSocket, proven: Proven, events: SocketEvents, opened = true) {
    this.#socket = socket;
    this.opened = opened;
    this.#proven = proven;
    this.peer = proven.peer;
    this.epoch = proven.peer.epoch;
    this.#events = events;
    socket.on('message', (received: Buffer) => this.#receive(received));
    socket.on('pong', () => {
      this.#unanswered = 0;
    });
    socket.on('close', () => this.#end(undefined));
    this.#keepAlive = this.#pingLater();
  }

  send(message: NeighborMessage): void {
    if (this.#closed || this.#socket.readyState !== this.#socket.OPEN) return;
    this.#send(encode(message));
  }

  #send(frame: Uint8Array): void {
    this.#socket.send(this.#proven.outgoing.seal(frame));
    if (this.#socket.bufferedAmount > maxBacklog)
      this.close(new CryonetError('connection_closed', 'the neighbor does not read'));
  }

  /** Sends a message of a connection that goes by this WebSocket. `needed`: also where much is unsent. */
  carry(frame: Uint8Array, needed: boolean): void {
    const { readyState, OPEN, bufferedAmount } = this.#socket;
    if (this.#closed || readyState !== OPEN || (!needed && bufferedAmount > maxUnsentPackets)) return;
    this.#send(frame);
  }

  /** Whether the other side answers a ping within `timeout` milliseconds. */
  answers(timeout: number): Promise<boolean> {
    if (this.#closed) return Promise.resolve(false);
    return new Promise((resolve) => {
      const onPong = () => finish(true);
      const finish = (answered: boolean) => {
        clearTimeout(timer);
        this.#socket.removeListener('pong', onPong);
        resolve(answered);
      };
      const timer = setTimeout(() => finish(false), timeout);
      this.#socket.once('pong', onPong);
      this.#socket.ping();
    });
  }

  /** Idempotent. */
  close(cause?: CryonetError): void {
    if (cause === undefined) this.#socket.close(1000);
    else this.#socket.terminate();
    this.#end(cause);
  }

  #ping(): void {
    if (this.#unanswered === unansweredPings) {
      this.close(new CryonetError('connection_closed', 'the neighbor does not answer'));
      return;
    }
    this.#unanswered++;
    this.#socket.ping();
    this.#keepAlive = this.#pingLater();
  }

  #pingLater(): Deadline {
    return new Deadline(pingInterval, () => this.#ping());
  }

  #receive(received: Buffer): void {
    if (this.#closed) return;
    this.#unanswered = 0;
    try {
      const frame = this.#proven.incoming.open(received);
      if (frame === undefined)
        throw new CryonetError('bad_frame', 'a frame that was not sealed by the neighbor');
      if (isCarried(frame)) {
        const carried = decodeCarried(frame);
        if (carried === undefined) throw new CryonetError('bad_frame', 'no message of a link');
        if (!this.#events.carried(carried, frame.length)) this.#rest();
        return;
      }
      if (!this.#events.admits(frame.length)) {
        this.#rest();
        return;
      }
      this.#events.message(parse(neighborMessage, frame));
    } catch (error) {
      this.close(
        error instanceof CryonetError
          ? error
          : new CryonetError('internal', reasonOf(error), { cause: error }),
      );
    }
  }

  #rest(): void {
    if (this.#socket.isPaused) return;
    this.#socket.pause();
    this.#resting = setTimeout(() => this.#socket.resume(), restTime);
  }

  #end(cause: CryonetError | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#resting);
    this.#socket.resume();
    this.#keepAlive.clear();
    this.#events.closed(cause);
  }
}

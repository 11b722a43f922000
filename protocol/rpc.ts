/** One MessagePack-RPC connection over a stream socket, used by both ends. `dataplane.ts` has the methods. */
import type { Socket } from 'node:net';
import * as z from 'zod/mini';
import {
  type Method,
  maxRpcFrame,
  type Notification,
  type NotificationParams,
  notifications,
  type Params,
  type Result,
  requests,
} from './dataplane.ts';
import { CryonetError, type ErrorCode, errorCodes, reasonOf } from './errors.ts';
import { FrameReader, frame } from './frame.ts';
import { decode, encode } from './msgpack.ts';
import { check } from './schema.ts';

const message = z.union([
  z.tuple([z.literal(0), z.int(), z.string(), z.unknown()]),
  z.tuple([
    z.literal(1),
    z.int(),
    z.nullable(z.object({ code: z.string(), message: z.string() })),
    z.unknown(),
  ]),
  z.tuple([z.literal(2), z.string(), z.unknown()]),
]);

/** Unsent bytes after which the other end counts as gone. */
const maxBacklog = 16_777_216;

export interface RpcEvents {
  /** Answers a request. An exception becomes the error reply. */
  request<M extends Method>(method: M, params: Params<M>): Promise<Result<M>>;
  notification<N extends Notification>(name: N, params: NotificationParams<N>): void;
  /** The last event. `cause` is undefined if either end closed the connection in order. */
  closed(cause: CryonetError | undefined): void;
}

interface Call {
  readonly method: Method;
  resolve(value: unknown): void;
  reject(reason: CryonetError): void;
}

export class RpcConnection {
  readonly #socket: Socket;
  readonly #events: RpcEvents;
  readonly #reader = new FrameReader(maxRpcFrame);
  readonly #calls = new Map<number, Call>();
  #number = 0;
  #closed = false;

  constructor(socket: Socket, events: RpcEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('error', (cause) =>
      this.#end(new CryonetError('connection_closed', `connection lost: ${cause.message}`, { cause })),
    );
    socket.on('close', () => this.#end(undefined));
  }

  /** Rejects with the error that the other end replied, or with `connection_closed`. */
  call<M extends Method>(method: M, params: Params<M>): Promise<Result<M>> {
    if (this.#closed) return Promise.reject(new CryonetError('connection_closed'));
    const number = ++this.#number;
    const reply = new Promise<unknown>((resolve, reject) => {
      this.#calls.set(number, { method, resolve, reject });
    });
    this.#send([0, number, method, params]);
    return reply as Promise<Result<M>>;
  }

  /** Bytes that the other end has not read. */
  get backlog(): number {
    return this.#socket.writableLength;
  }

  notify<N extends Notification>(name: N, params: NotificationParams<N>): void {
    this.#send([2, name, params]);
  }

  /** Rejects pending calls and fires `closed`. Idempotent. */
  close(cause?: CryonetError): void {
    this.#end(cause);
  }

  #send(value: unknown): void {
    if (this.#closed) return;
    this.#socket.write(frame(encode(value)));
    if (this.#socket.writableLength > maxBacklog) {
      this.#end(new CryonetError('connection_closed', 'the other end does not read'));
    }
  }

  #receive(chunk: Uint8Array): void {
    try {
      for (const payload of this.#reader.push(chunk)) {
        if (this.#closed) return;
        this.#dispatch(check(message, decode(payload)));
      }
    } catch (error) {
      this.#end(
        error instanceof CryonetError
          ? error
          : new CryonetError('internal', reasonOf(error), { cause: error }),
      );
    }
  }

  #dispatch(received: z.infer<typeof message>): void {
    switch (received[0]) {
      case 0:
        void this.#answer(received[1], received[2], received[3]);
        return;
      case 1:
        this.#settle(received[1], received[2], received[3]);
        return;
      case 2: {
        const name = received[1] as Notification;
        if (!Object.hasOwn(notifications, name))
          throw new CryonetError('unknown_method', `no notification "${name}"`);
        this.#events.notification(name, check(notifications[name], received[2]) as never);
      }
    }
  }

  /** Never rejects. */
  async #answer(number: number, method: string, params: unknown): Promise<void> {
    try {
      if (!Object.hasOwn(requests, method)) throw new CryonetError('unknown_method', `no method "${method}"`);
      const checked = check(requests[method as Method].params, params);
      this.#send([1, number, null, await this.#events.request(method as Method, checked as never)]);
    } catch (error) {
      const code = error instanceof CryonetError ? error.code : 'internal';
      this.#send([1, number, { code, message: reasonOf(error) }, null]);
    }
  }

  #settle(number: number, error: { code: string; message: string } | null, result: unknown): void {
    const call = this.#calls.get(number);
    if (call === undefined) return;
    this.#calls.delete(number);
    if (error !== null) {
      const code = Object.hasOwn(errorCodes, error.code) ? (error.code as ErrorCode) : 'internal';
      call.reject(new CryonetError(code, error.message));
      return;
    }
    try {
      call.resolve(check(requests[call.method].result, result));
    } catch (cause) {
      call.reject(cause as CryonetError);
    }
  }

  #end(cause: CryonetError | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    if (cause === undefined) this.#socket.destroySoon();
    else this.#socket.destroy();
    const reason = cause ?? new CryonetError('connection_closed');
    for (const call of this.#calls.values()) call.reject(reason);
    this.#calls.clear();
    this.#events.closed(cause);
  }
}

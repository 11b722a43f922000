/** Control's connection to the dataplane: finds or starts it, says hello, and reconnects when it is lost. */
import type { Socket } from 'node:net';
import { backoff } from '../../protocol/backoff.ts';
import type {
  DataplaneConfig,
  HelloReply,
  Method,
  Notification,
  NotificationParams,
  Params,
  Result,
} from '../../protocol/dataplane.ts';
import { dataplaneVersion } from '../../protocol/dataplane.ts';
import { CryonetError, reasonOf } from '../../protocol/errors.ts';
import type { Log } from '../../protocol/log.ts';
import { RpcConnection } from '../../protocol/rpc.ts';
import { connectDataplane, ensureDataplane } from './dataplane-process.ts';

/** Milliseconds between quick tries while the dataplane may be back any moment, and how many there are in a row. */
const redialDelay = 250;
const quickRedials = 20;

/** Milliseconds of the longest pause after those, and while a dataplane refuses. */
const longestRedial = 10_000;

export interface DataplaneEvents {
  up(hello: HelloReply): void;
  down(): void;
  /** It could not be connected and is tried again. */
  failed(cause: unknown): void;
  notification<N extends Notification>(name: N, params: NotificationParams<N>): void;
}

export interface DataplaneOptions {
  readonly socket: string;
  /** Whether a dataplane that is not there is started. */
  readonly mayStart: boolean;
  /** The start of a dataplane that is under way already. It resolves with its process ID; undefined if one ran before. */
  readonly early: Promise<number | undefined> | undefined;
  readonly config: DataplaneConfig;
  readonly log: Log;
}

export class DataplaneConnection {
  /** The dataplane's last reply to hello, kept while it is away. */
  hello: HelloReply | undefined;
  readonly #options: DataplaneOptions;
  readonly #events: DataplaneEvents;
  #connection: RpcConnection | undefined;
  #timer: NodeJS.Timeout | undefined;
  #early: Promise<number | undefined> | undefined;
  /** Tries in a row that failed. */
  #failures = 0;
  #closed = false;

  constructor(options: DataplaneOptions, events: DataplaneEvents) {
    this.#options = options;
    this.#early = options.early;
    this.#events = events;
  }

  /** Bytes that the dataplane has not read. */
  get backlog(): number {
    return this.#connection?.backlog ?? 0;
  }

  get isUp(): boolean {
    return this.#connection !== undefined;
  }

  /** Connects. If the failure `passes`, tries go on in the background. Else throws `no_dataplane`, `version_mismatch`, the
   *  error of a dataplane that does not start, or the one with which it refuses its configuration. */
  async open(passes: (cause: unknown) => boolean): Promise<void> {
    try {
      await this.#open();
    } catch (cause) {
      if (this.#closed || !passes(cause)) throw cause;
      this.#failed(cause);
    }
  }

  async #open(): Promise<void> {
    const { socket, started } = await this.#dial();
    const { notification } = this.#events;
    const early: (() => void)[] = [];
    const rpc: RpcConnection = new RpcConnection(socket, {
      request: () => Promise.reject(new CryonetError('unknown_method', 'control answers no requests')),
      notification: (name, params) => {
        // Notifications in one chunk with the reply to hello wait until its links are adopted.
        if (this.#connection === rpc) notification(name, params);
        else early.push(() => notification(name, params));
      },
      closed: (cause) => this.#lost(rpc, cause),
    });
    let hello: HelloReply;
    try {
      hello = await rpc.call('hello', { version: dataplaneVersion, config: this.#options.config });
    } catch (cause) {
      if (started) await rpc.call('shutdown', {}).catch(() => {});
      rpc.close();
      throw cause;
    }
    if (hello.version !== dataplaneVersion || this.#closed) {
      rpc.close();
      throw new CryonetError(
        'version_mismatch',
        `the dataplane speaks version ${hello.version}, control ${dataplaneVersion}`,
      );
    }
    this.hello = hello;
    this.#failures = 0;
    this.#connection = rpc;
    this.#events.up(hello);
    for (const tell of early) tell();
  }

  notify<N extends Notification>(name: N, params: NotificationParams<N>): void {
    this.#connection?.notify(name, params);
  }

  /** Rejects with the dataplane's error, or with `connection_closed` while it is away. */
  call<M extends Method>(method: M, params: Params<M>): Promise<Result<M>> {
    return this.#connection?.call(method, params) ?? Promise.reject(new CryonetError('connection_closed'));
  }

  /** Idempotent, never throws. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#connection?.close();
  }

  /** `started`: this call started the dataplane. */
  async #dial(): Promise<{ socket: Socket; started: boolean }> {
    const { socket: path, mayStart } = this.#options;
    const early = this.#early;
    this.#early = undefined;
    const pid = mayStart ? await (early ?? ensureDataplane(path)) : undefined;
    const socket = await connectDataplane(path);
    if (socket === undefined) throw new CryonetError('no_dataplane', `no dataplane serves ${path}`);
    return { socket, started: pid !== undefined };
  }

  #lost(rpc: RpcConnection, cause: CryonetError | undefined): void {
    if (this.#connection !== rpc) return;
    this.#connection = undefined;
    if (this.#closed) return;
    this.#options.log.warn('dataplane lost', {
      about: 'dataplane',
      reason: cause?.message ?? 'it closed the connection',
    });
    this.#events.down();
    this.#redial();
  }

  #redial(): void {
    if (this.#closed) return;
    this.#open().then(
      () => this.#options.log.info('dataplane is back', { about: 'dataplane', pid: this.hello?.pid }),
      (error: unknown) => this.#failed(error),
    );
  }

  #failed(cause: unknown): void {
    if (this.#closed) return;
    this.#options.log.debug('dataplane not back yet', { reason: reasonOf(cause) });
    const quick = isAway(cause) && this.#failures < quickRedials;
    this.#failures++;
    // A dataplane that was killed is mostly back within the quick tries, before a warning is of use.
    if (!quick || this.#failures === quickRedials) this.#events.failed(cause);
    const pause = quick ? redialDelay : backoff(this.#failures, longestRedial, Math.random());
    this.#timer = setTimeout(() => this.#redial(), pause);
  }
}

/** Whether nobody serves its socket, or the process that did has just ended. */
function isAway(cause: unknown): boolean {
  return cause instanceof CryonetError && ['no_dataplane', 'connection_closed'].includes(cause.code);
}

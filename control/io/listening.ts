/** The bootstrap WebSocket of a node, which is opened as soon as possible. The node works without it meanwhile. */
import { reasonOf } from '../../protocol/errors.ts';
import { Retry } from '../../protocol/retry.ts';
import type { Warnings } from '../../protocol/warnings.ts';
import type { HostPort } from '../config/address.ts';
import { type ControlConfig, longestPause } from '../config/config.ts';
import { type BootstrapServer, openBootstrapServer, type ServerEvents } from './bootstrap-server.ts';
import type { Local } from './handshake.ts';

/** Subject of the warning about connections that had to make room, and milliseconds after the last of them until the
 *  warning ends. */
const crowded = 'connections';
const crowdedFor = 60_000;

export interface ListeningOptions {
  readonly config: ControlConfig;
  readonly local: Local;
  readonly warnings: Warnings;
  readonly events: ServerEvents;
}

export class Listening {
  readonly #options: ListeningOptions;
  readonly #retry: Retry;
  #server: BootstrapServer | undefined;
  #crowdedTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: ListeningOptions) {
    this.#options = options;
    this.#retry = new Retry({
      attempt: () => this.#listen(),
      failed: (cause) =>
        options.warnings.set(
          'listen',
          `${reasonOf(cause)}; tried again, nobody can join through this node until then`,
        ),
      limit: longestPause(options.config),
    });
  }

  /** Throws `bad_config`. Other failures are a warning, and it is tried again. */
  async open(): Promise<void> {
    await this.#retry.start();
  }

  /** The address as bound, or as configured while it is not open. */
  get address(): HostPort {
    return this.#server?.address ?? this.#options.config.listen;
  }

  /** Idempotent, never throws. */
  close(): void {
    this.#closed = true;
    this.#retry.close();
    clearTimeout(this.#crowdedTimer);
    this.#server?.close();
  }

  async #listen(): Promise<void> {
    const { config, local, warnings } = this.#options;
    const crowded = (source: string) => {
      this.#options.events.crowded?.(source);
      this.#crowded(source);
    };
    const events = { ...this.#options.events, crowded };
    const server = await openBootstrapServer(config.listen, config.tls, local, events, config.listenSource);
    if (this.#closed) {
      server.close();
      return;
    }
    this.#server = server;
    warnings.clear('listen');
  }

  /** Warns of a crowd. The warning names the first source for as long as it lasts. */
  #crowded(source: string): void {
    const { warnings } = this.#options;
    if (this.#crowdedTimer === undefined) {
      const words = 'opens connections that prove nothing, and fills its share: the oldest are closed';
      warnings.set(crowded, `${source} ${words}`);
    }
    clearTimeout(this.#crowdedTimer);
    this.#crowdedTimer = setTimeout(() => {
      this.#crowdedTimer = undefined;
      warnings.clear(crowded);
    }, crowdedFor);
  }
}

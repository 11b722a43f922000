/**
 * Says where a node is alone by its own configuration: it is told of nobody to join through, and listens where no other
 * machine can come. That is the default, right for a node that only joins; as a warning it lasts until somebody came all
 * the same, by way of a proxy on this machine or of another node here.
 */
import type { Warnings } from '../protocol/warnings.ts';
import type { ControlConfig } from './config.ts';
import { formatHostPort, isLoopback } from './core/address.ts';

/** Milliseconds that others have to show up first. */
const patience = 5_000;

const subject = 'alone';

export class AloneWarning {
  readonly #warnings: Warnings;
  readonly #knowsAnybody: () => boolean;
  #timer: NodeJS.Timeout | undefined;

  constructor(config: ControlConfig, warnings: Warnings, knowsAnybody: () => boolean) {
    this.#warnings = warnings;
    this.#knowsAnybody = knowsAnybody;
    const { listen, wsServers } = config;
    if (wsServers.length > 0 || !isLoopback(listen.host)) return;
    const message =
      `no ws-servers to join through, and listen is ${formatHostPort(listen)}, where no other machine can come: ` +
      'set ws-servers, or listen to "[::]:2333"';
    this.#timer = setTimeout(() => {
      if (!this.#knowsAnybody()) this.#warnings.set(subject, message);
    }, patience);
    this.#timer.unref();
  }

  /** To be called after each event. */
  look(): void {
    if (this.#timer === undefined || !this.#knowsAnybody()) return;
    this.#warnings.clear(subject);
    this.close();
  }

  /** Idempotent. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

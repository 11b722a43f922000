/**
 * Warns where a node's own configuration leaves it alone: it has no server to join through, and listens where no other
 * machine can reach it, which is the default. The warning ends when another node appears all the same, through a proxy on
 * this machine or another node on it.
 */
import type { Warnings } from '../protocol/warnings.ts';
import { formatHostPort, isLoopback } from './config/address.ts';
import type { ControlConfig } from './config/config.ts';

/** Milliseconds for which other nodes may appear before the warning does. */
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

  /** Ends the warning if another node is known. Call it after each event. */
  look(): void {
    if (this.#timer !== undefined && this.#knowsAnybody()) this.close();
  }

  /** Ends the warning, too. Idempotent. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#warnings.clear(subject);
  }
}

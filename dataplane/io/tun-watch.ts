/**
 * Whether interfaces can be made at all: asked before they are needed, and where they cannot, again and again until they
 * can. A process that ended for it would only be started again, as often as its service manager likes.
 *
 *     ── check ──► warned ── 1 s, 2 s, 4 s, … 60 s ──► as before, or the warning is over
 */
import { reasonOf } from '../../protocol/errors.ts';
import type { Warnings } from '../../protocol/warnings.ts';
import type { TunFactory } from './tun.ts';

/** What warnings about it are filed under. */
const subject = 'tun';

/** Milliseconds. */
const firstPause = 1000;
const longestPause = 60_000;

export class TunWatch {
  readonly #tuns: Pick<TunFactory, 'try'>;
  readonly #warnings: Pick<Warnings, 'set' | 'clear'>;
  #pause = firstPause;
  #timer: NodeJS.Timeout | undefined;

  constructor(tuns: Pick<TunFactory, 'try'>, warnings: Pick<Warnings, 'set' | 'clear'>) {
    this.#tuns = tuns;
    this.#warnings = warnings;
  }

  /** Throws what keeps every interface from being made, and warns of it until one can. */
  check(): void {
    try {
      this.#tuns.try();
    } catch (error) {
      this.#warnings.set(subject, reasonOf(error));
      this.#timer ??= setTimeout(() => this.#again(), this.#pause).unref();
      throw error;
    }
    this.close();
    this.#warnings.clear(subject);
  }

  /** The same for whom the warning is enough. */
  look(): void {
    try {
      this.check();
    } catch {
      // It is in the warnings.
    }
  }

  /** No look by itself from now on, until the next check. Idempotent. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#pause = firstPause;
  }

  #again(): void {
    this.#timer = undefined;
    this.#pause = Math.min(2 * this.#pause, longestPause);
    this.look();
  }
}

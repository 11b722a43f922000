/** Writes to a folder that may be full or read-only for a while. A write that fails makes a warning and is repeated until
 *  it succeeds. */
import { reasonOf } from '../../protocol/errors.ts';
import { Retry } from '../../protocol/retry.ts';
import type { Warnings } from '../../protocol/warnings.ts';

export type Tell = Pick<Warnings, 'set' | 'clear'>;

export class KeptWrites {
  readonly #folder: string;
  readonly #tell: Tell;
  /** Milliseconds. */
  readonly #limit: number;
  /** The writes that have not succeeded yet, by file. */
  readonly #waiting = new Map<string, () => void>();
  #retry: Retry | undefined;
  #closed = false;

  constructor(folder: string, tell: Tell, limit: number) {
    this.#folder = folder;
    this.#tell = tell;
    this.#limit = limit;
  }

  /** Calls `act`, which writes all that `file` lacks, now and again until it does not throw. Never throws. */
  write(file: string, act: () => void): void {
    this.#waiting.set(file, act);
    if (this.#closed) this.close();
    if (this.#closed || this.#retry !== undefined) return;
    const retry = new Retry({
      attempt: async () => this.#writeAll(),
      failed: (cause) => this.#tell.set('state-dir', this.#words(cause)),
      limit: this.#limit,
      passes: () => true,
    });
    this.#retry = retry;
    // The first attempt is complete when this returns, since it waits for nothing.
    void retry.start();
  }

  /** One last attempt. Idempotent, never throws. */
  close(): void {
    this.#closed = true;
    this.#retry?.close();
    try {
      this.#writeAll();
    } catch {
      // There is a warning about it already.
    }
  }

  #writeAll(): void {
    for (const [file, act] of this.#waiting) {
      act();
      this.#waiting.delete(file);
    }
    this.#retry = undefined;
    this.#tell.clear('state-dir');
  }

  #words(cause: unknown): string {
    const files = [...this.#waiting.keys()].join(' and ');
    return `${this.#folder} cannot be written to: ${reasonOf(cause)}; tried again, ${files} would be lost at a restart`;
  }
}

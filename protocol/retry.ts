/**
 * Tries something at once, and again with growing pauses until it works.
 *
 *     trying ── done
 *      ▲  │
 *      │  └ failed ──► pause: half a second, doubled up to the limit, less a random part ─┐
 *      └──────────────────────────────────────────────────────────────────────────────────┘
 */
import { backoff } from './backoff.ts';
import { mayPass } from './errors.ts';

export interface RetryOptions {
  attempt(): Promise<void>;
  /** Called after each failed attempt. */
  failed(cause: unknown): void;
  /** Milliseconds of the longest pause. */
  readonly limit: number;
  /** Whether trying again may help; asked only about the first failure. By default `mayPass`. */
  passes?(cause: unknown): boolean;
}

export class Retry {
  readonly #options: RetryOptions;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: RetryOptions) {
    this.#options = options;
  }

  /** Resolves after the first attempt: true if it worked, false if attempts go on in the background. Throws the first
   *  failure if it does not pass. */
  async start(): Promise<boolean> {
    try {
      await this.#options.attempt();
      return true;
    } catch (cause) {
      const passes = this.#options.passes ?? mayPass;
      if (!passes(cause)) throw cause;
      this.#failed(cause);
      return false;
    }
  }

  /** No attempt begins after this, but one may be under way. Idempotent. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #failed(cause: unknown): void {
    if (this.#closed) return;
    this.#options.failed(cause);
    if (this.#closed) return;
    const pause = backoff(++this.#failures, this.#options.limit, Math.random());
    this.#timer = setTimeout(() => {
      this.#options.attempt().catch((again: unknown) => this.#failed(again));
    }, pause);
  }
}

/** Retries `attempt` until it works, and resolves with its result. Rejects with the first failure that does not pass,
 *  whichever attempt it is of. */
export function eventually<T>(
  options: Omit<RetryOptions, 'attempt'> & { attempt(): T | Promise<T> },
): Promise<T> {
  const passes = options.passes ?? mayPass;
  return new Promise((resolve, reject) => {
    const retry = new Retry({
      ...options,
      attempt: async () => resolve(await options.attempt()),
      failed: (cause) => {
        if (passes(cause)) return options.failed(cause);
        retry.close();
        reject(cause);
      },
    });
    retry.start().catch(reject);
  });
}

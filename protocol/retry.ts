/**
 * Something that has to work some day: done at once, and again with growing pauses until it does.
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
  /** Told of each failure. */
  failed(cause: unknown): void;
  /** Milliseconds: the longest pause. */
  readonly limit: number;
  /** Whether time may mend it; asked of the first failure alone. By default `mayPass`. */
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

  /** Resolves after the first attempt: true where it is done, false where it goes on in the background. Throws where that
   *  failed for good. */
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

  /** No attempt begins after it; one may be under way. Idempotent. */
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

/** What `attempt` gives, some day: a `Retry` that is waited for. Rejects with the first failure, of whichever attempt, that
 *  does not pass. */
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

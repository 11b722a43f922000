/** `performance.now`, timeouts and intervals of a test that does not wait for them. Turns of the event loop are real. */
import type { TestContext } from 'node:test';

/** Milliseconds that pass at once. */
const stride = 10;
/** Turns of the event loop for what one stride brought about: a message, its answer, and what comes of that. */
const turns = 6;

export class VirtualClock {
  readonly #context: TestContext;
  #now = 1_000_000;

  constructor(context: TestContext) {
    this.#context = context;
    context.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
    context.mock.method(performance, 'now', () => this.#now);
  }

  get now(): number {
    return this.#now;
  }

  async pass(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    await this.until('that time', () => this.#now >= end, milliseconds);
  }

  /** Milliseconds until `done`. Rejects after `limit` of them, naming `what`. */
  async until(what: string, done: () => unknown, limit = 10_000): Promise<number> {
    const start = this.#now;
    await this.#turn();
    while (!done()) {
      if (this.#now - start >= limit) throw new Error(`waited ${limit} ms in vain for ${what}`);
      this.#now += stride;
      this.#context.mock.timers.tick(stride);
      await this.#turn();
    }
    return this.#now - start;
  }

  async #turn(): Promise<void> {
    for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
  }
}

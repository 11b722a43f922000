/**
 * One timer for many deadlines. It goes off at the earliest of them or before, since a deadline that is put off does not
 * put off the timer: what it calls looks at what is due, and tells the deadlines that are left. So a change of one of them
 * costs nothing for the others.
 */
export class Alarm {
  readonly #ring: () => void;
  #timer: NodeJS.Timeout | undefined;
  /** When it goes off. */
  #at = Number.POSITIVE_INFINITY;

  constructor(ring: () => void) {
    this.#ring = ring;
  }

  /** Milliseconds of `performance.now()`; nothing for undefined and null. */
  by(at: number | null | undefined): void {
    if (at == null || at >= this.#at) return;
    clearTimeout(this.#timer);
    this.#at = at;
    const wait = Math.max(1, Math.ceil(at - performance.now()));
    this.#timer = setTimeout(() => {
      this.#at = Number.POSITIVE_INFINITY;
      this.#ring();
    }, wait);
  }

  /** Idempotent. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#at = Number.POSITIVE_INFINITY;
  }
}

/** Round-trip time of one connection, from numbered pings. Milliseconds. */
export class RoundTrip {
  latest: number | null = null;
  /** Pings so far. */
  asks = 0;
  #askedAt = 0;

  /** The number of the next ping. */
  asked(now: number): number {
    this.#askedAt = now;
    return ++this.asks;
  }

  /** Only the answer to the last ping counts: an older one was held up by something else than the path. */
  answered(number: number, now: number): void {
    if (number === this.asks) this.latest = Math.round((now - this.#askedAt) * 1000) / 1000;
  }
}

/**
 * Paces who guesses the token. What comes from a source that had a wrong token of late is looked at after a pause, each
 * message of a handshake, whether right or wrong: so many connections as a source may have at a time (`unproven.ts`) then
 * have so many guesses in two pauses, and others behind the same address are let in all the same, a little later.
 */

/** Milliseconds after a wrong token in which its source is paced, and by how much. */
const memory = 10_000;
const pause = 500;

/** Sources that are remembered; the one whose wrong token is oldest gives way. */
const maxSources = 1024;

export class Guesses {
  /** Milliseconds of the last wrong token by source, the oldest first. */
  readonly #wrongAt = new Map<string, number>();

  wrong(source: string, now: number): void {
    this.#wrongAt.delete(source);
    this.#wrongAt.set(source, now);
    const [oldest] = this.#wrongAt.keys();
    if (this.#wrongAt.size > maxSources) this.#wrongAt.delete(oldest!);
  }

  /** Milliseconds that a message from there waits until it is looked at. */
  pauseOf(source: string, now: number): number {
    const at = this.#wrongAt.get(source);
    return at !== undefined && now - at < memory ? pause : 0;
  }
}

/**
 * A time limit for the other end of a connection. Its time passes in parts, with a turn of the event loop after each: where
 * this process was late itself, what had come meanwhile is read before the rest of the time counts.
 */
const parts = 8;

export class Deadline {
  readonly #over: () => void;
  #timer: NodeJS.Timeout | undefined;

  /** Calls `over` after so many milliseconds, or later by what the event loop stood still. */
  constructor(milliseconds: number, over: () => void) {
    this.#over = over;
    this.#wait(parts, milliseconds / parts);
  }

  /** Idempotent. */
  clear(): void {
    clearTimeout(this.#timer);
  }

  #wait(left: number, part: number): void {
    this.#timer = setTimeout(() => (left === 1 ? this.#over() : this.#wait(left - 1, part)), part);
  }
}

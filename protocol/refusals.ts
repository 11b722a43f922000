/** How often a process refused what others did, by cause: a word each, one of few. Each of the two processes of a node
 *  has its own; the status report has them together. */
export class Refusals {
  readonly #counts = new Map<string, number>();

  count(cause: string): void {
    this.#counts.set(cause, (this.#counts.get(cause) ?? 0) + 1);
  }

  list(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }
}

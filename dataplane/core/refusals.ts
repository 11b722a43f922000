/** How often this process refused what no node does, by cause: a word each, one of few. */
export class Refusals {
  readonly #counts = new Map<string, number>();

  count(cause: string): void {
    this.#counts.set(cause, (this.#counts.get(cause) ?? 0) + 1);
  }

  list(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }
}

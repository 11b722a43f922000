/** Which peer a receiver index is of. */
import { randomInt } from 'node:crypto';

export class ReceiverIndices {
  readonly #owners = new Map<number, string>();

  /** One that is free; with the low byte of `beside`, by which the engine picks the thread that receives: records of old
   *  and of new keys of a link stay in order. */
  next(beside?: number): number {
    for (;;) {
      const index = beside === undefined ? randomInt(2 ** 32) : randomInt(2 ** 24) * 256 + (beside & 255);
      if (index !== 0 && !this.#owners.has(index)) return index;
    }
  }

  set(index: number, peer: string): void {
    this.#owners.set(index, peer);
  }

  ownerOf(index: number): string | undefined {
    return this.#owners.get(index);
  }

  of(peer: string): number[] {
    return [...this.#owners].flatMap(([index, owner]) => (owner === peer ? [index] : []));
  }

  delete(index: number): void {
    this.#owners.delete(index);
  }
}

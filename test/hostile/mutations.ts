/**
 * Inputs that are almost right: seeds changed at random, and what a decoder accepted of them changed again, so that
 * they go on where the decoder let them in. The same seed of randomness gives the same inputs.
 *
 * Made here because what there is does not serve: a coverage-guided fuzzer for JavaScript (jazzer.js) needs a newer C
 * library than Debian 12 has, and a generator of values (fast-check) makes tens of thousands a second where a decoder
 * reads hundreds of thousands.
 */
import { mulberry32 } from '../mulberry.ts';

/** Inputs that were accepted and are changed further, beside the seeds. */
const keptAtMost = 512;

/** When there are so many, one in so many takes the place of another: where much is accepted, to copy each would cost
 *  more than to read it. */
const renewedOneIn = 16;

/** Bytes that begin values of MessagePack, end lines, or are the ends of ranges. */
const telling = Uint8Array.of(
  ...[0, 1, 0x0a, 0x0d, 0x20, 0x2d, 0x30, 0x3a, 0x3d, 0x7f, 0x80, 0x81, 0x8f, 0x90, 0x9f, 0xa0, 0xbf],
  ...[0xc0, 0xc1, 0xc2, 0xc4, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcc, 0xcf, 0xd0, 0xd3, 0xd4, 0xd8, 0xd9],
  ...[0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xff],
);

export class Mutations {
  readonly #seeds: readonly Uint8Array[];
  readonly #kept: Uint8Array[] = [];
  readonly #below: (limit: number) => number;
  readonly #buffer: Uint8Array;

  constructor(seeds: readonly Uint8Array[], longest = 2048, seed = 1) {
    this.#seeds = seeds;
    const random = mulberry32(seed);
    this.#below = (limit) => random() % limit;
    this.#buffer = new Uint8Array(longest);
  }

  /** Good until the next one: a copy of each would cost more than all changes. */
  next(): Uint8Array {
    const first = this.#any();
    let length = Math.min(first.length, this.#buffer.length);
    this.#buffer.set(length === first.length ? first : first.subarray(0, length));
    for (let changes = 1 + this.#below(4); changes > 0; changes--) length = this.#change(length);
    return this.#buffer.subarray(0, length);
  }

  /** A decoder took it: it is one to go on from. */
  accepted(input: Uint8Array): void {
    if (this.#kept.length < keptAtMost) this.#kept.push(input.slice());
    else if (this.#below(renewedOneIn) === 0) this.#kept[this.#below(keptAtMost)] = input.slice();
  }

  #any(): Uint8Array {
    const pool = this.#kept.length > 0 && this.#below(2) === 0 ? this.#kept : this.#seeds;
    return pool[this.#below(pool.length)]!;
  }

  /** The length then. */
  #change(length: number): number {
    const [buffer, below] = [this.#buffer, this.#below];
    const at = length === 0 ? 0 : below(length);
    switch (length === 0 ? 4 : below(9)) {
      case 0:
        buffer[at]! ^= 1 << below(8);
        return length;
      case 1:
        buffer[at] = telling[below(telling.length)]!;
        return length;
      case 2:
        buffer[at] = below(256);
        return length;
      case 3:
        // A length, as it may stand in front of something.
        for (let i = at; i < Math.min(at + 4, length); i++) buffer[i] = below(2) * 255;
        return length;
      case 4:
        return this.#splice(length, at, 0, telling, below(telling.length), 1);
      case 5:
        return this.#splice(length, at, 1 + below(Math.min(16, length)), telling, 0, 0);
      case 6:
        return at;
      case 7: {
        const count = Math.min(1 + below(Math.min(64, length)), length - at);
        return this.#splice(length, at, 0, buffer, at, count);
      }
      default: {
        const other = this.#any();
        const from = below(other.length + 1);
        return this.#splice(length, at, below(16), other, from, Math.min(below(64), other.length - from));
      }
    }
  }

  /** Puts `count` bytes of `other`, from `from` on, in the place of `gone` bytes at `at`. */
  #splice(length: number, at: number, gone: number, other: Uint8Array, from: number, count: number): number {
    const buffer = this.#buffer;
    const end = Math.min(at + gone, length);
    // The buffer's own bytes in front of `end` are not moved.
    buffer.copyWithin(Math.min(at + count, buffer.length), end, length);
    for (let i = 0; i < count; i++) buffer[at + i] = other[from + i]!;
    return Math.min(length - (end - at) + count, buffer.length);
  }
}

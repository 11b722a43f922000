/**
 * The addresses that control wants on one interface, beside its link-local one: given, put back where somebody takes them
 * away, taken away once they are not wanted any more. What was there before, or is not of ours, stays as it is.
 */
import {
  type AddressKeeper,
  isContested,
  isThere,
  mayPutBack,
  newAddressKeeper,
  wasPutBack,
} from '../core/address-keeper.ts';
import type { Tun } from './tun.ts';

export class GivenAddresses {
  readonly #tun: Tun;
  readonly #wanted = new Map<string, AddressKeeper>();
  /** Those that are there by us. */
  readonly #ours = new Set<string>();
  /** Why the kernel refuses them. */
  readonly #refused = new Map<string, string>();
  /** Those of the wanted ones that are there, whoever gave them. */
  #there: readonly string[] = [];

  constructor(tun: Tun) {
    this.#tun = tun;
  }

  /** In the order in which they are wanted. */
  get there(): readonly string[] {
    return this.#there;
  }

  /** Somebody takes these away again and again. */
  get contested(): readonly string[] {
    return [...this.#wanted].flatMap(([address, keeper]) => (isContested(keeper) ? address : []));
  }

  get refused(): ReadonlyMap<string, string> {
    return this.#refused;
  }

  /** Has the interface have these. Throws where it is gone. */
  want(addresses: readonly string[]): void {
    for (const address of [...this.#wanted.keys()].filter((each) => !addresses.includes(each))) {
      this.#wanted.delete(address);
      this.#refused.delete(address);
      if (this.#ours.delete(address)) this.#tun.takeAddress(address);
    }
    for (const address of addresses) {
      if (this.#wanted.has(address)) continue;
      this.#wanted.set(address, newAddressKeeper());
      this.#give(address);
    }
    this.#there = addresses.filter((address) => !this.#refused.has(address));
  }

  /** `seen`: what the interface has. Returns what was put back. Throws where it is gone. */
  look(seen: ReadonlySet<string>, now: number): string[] {
    const putBack: string[] = [];
    const there: string[] = [];
    for (const [address, keeper] of this.#wanted) {
      if (seen.has(address)) {
        isThere(keeper, now);
        this.#refused.delete(address);
        there.push(address);
        continue;
      }
      const wasRefused = this.#refused.has(address);
      if (!mayPutBack(keeper, now) || !this.#give(address)) continue;
      there.push(address);
      // One that the kernel takes at last was taken away by nobody.
      if (wasRefused) continue;
      wasPutBack(keeper, now);
      putBack.push(address);
    }
    this.#there = there;
    return putBack;
  }

  #give(address: string): boolean {
    const given = this.#tun.giveAddress(address);
    if (typeof given === 'object') {
      this.#ours.delete(address);
      this.#refused.set(address, given.refused);
      return false;
    }
    this.#refused.delete(address);
    if (given === 'given') this.#ours.add(address);
    return true;
  }
}

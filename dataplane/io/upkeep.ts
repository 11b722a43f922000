/** Looks after one interface: what the machine's other programs change about it, and the node needs. */
import { isContested, isThere, mayPutBack, newAddressKeeper, wasPutBack } from '../core/address-keeper.ts';
import type { Tun } from './tun.ts';

/** Milliseconds after its opening in which udev's rules may still set sysctls on an interface. */
const settlingTime = 10_000;

/** What the kernel says of the interface. */
export interface Seen {
  readonly hasAddress: boolean;
  /** `HostLink.rpFilter`. */
  readonly rpFilter: number;
}

export class Upkeep {
  /** The link-local address is there. */
  hasAddress: boolean;
  /** Mode of its reverse path filter, where that is not for us to change any more. */
  rpFilter = 0;
  readonly #tun: Tun;
  readonly #keeper = newAddressKeeper();
  readonly #openedAt: number;

  /** Times in milliseconds. */
  constructor(tun: Tun, now: number) {
    this.#tun = tun;
    this.#openedAt = now;
    this.hasAddress = tun.hasAddress;
  }

  /** Somebody takes the address away again and again. */
  get isContested(): boolean {
    return isContested(this.#keeper);
  }

  /** True where the address was put back. Throws where the interface is gone. */
  look(seen: Seen, now: number): boolean {
    this.rpFilter = seen.rpFilter;
    if (seen.rpFilter !== 0 && now - this.#openedAt < settlingTime) {
      this.#tun.stopRpFilter();
      this.rpFilter = 0;
    }
    this.hasAddress = seen.hasAddress;
    if (seen.hasAddress) isThere(this.#keeper, now);
    if (seen.hasAddress || !mayPutBack(this.#keeper, now)) return false;
    this.#tun.putAddress();
    this.hasAddress = this.#tun.hasAddress;
    if (this.hasAddress) wasPutBack(this.#keeper, now);
    return this.hasAddress;
  }
}

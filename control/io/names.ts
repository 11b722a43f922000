/** Looks up the addresses of bootstrap servers, and decides in which order they are tried. */
import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';

/** Failed addresses of one host that are remembered. */
const maxFailed = 32;

const pending = new Map<string, Promise<LookupAddress[]>>();

/** The addresses in the resolver's order. A look-up cannot be cancelled, and a name server that does not answer blocks a
 *  thread for longer than an attempt lasts. So there is one look-up of each name at a time. */
function addressesOf(host: string): Promise<LookupAddress[]> {
  const known = pending.get(host);
  if (known !== undefined) return known;
  const found = lookup(host, { all: true }).finally(() => pending.delete(host));
  pending.set(host, found);
  return found;
}

/** The order in which the addresses of one host are tried. After any failure the address in use goes to the end, so that
 *  the next one gets its turn. */
export class Turns {
  #used: string | undefined;
  /** Failed addresses, the one that failed longest ago first. */
  #failed: string[] = [];

  async of(host: string): Promise<LookupAddress[]> {
    const rank = ({ address }: LookupAddress) => this.#failed.indexOf(address);
    return (await addressesOf(host)).toSorted((a, b) => rank(a) - rank(b));
  }

  /** Notes that a connection to `address` is being made. */
  use(address: string): void {
    this.#used = address;
  }

  /** Notes that the connection to the address in use failed. */
  failed(): void {
    if (this.#used === undefined) return;
    this.#failed = [...this.#failed.filter((each) => each !== this.#used), this.#used].slice(-maxFailed);
  }
}

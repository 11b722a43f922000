/** Names of bootstrap servers. */
import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';

/** Addresses that failed, of one host, that are remembered. */
const maxFailed = 32;

const pending = new Map<string, Promise<LookupAddress[]>>();

/** In the order of the resolver. A look-up cannot be called off, and a name server that does not answer holds a thread up
 *  for longer than an attempt lasts: of each name one is under way at a time. */
function addressesOf(host: string): Promise<LookupAddress[]> {
  const known = pending.get(host);
  if (known !== undefined) return known;
  const found = lookup(host, { all: true }).finally(() => pending.delete(host));
  pending.set(host, found);
  return found;
}

/** The addresses of one host in the order in which they are tried: after a failure of whatever kind, the one that it
 *  went to comes last, so that the next one gets its turn. */
export class Turns {
  #used: string | undefined;
  /** The one that failed longest ago first. */
  #failed: string[] = [];

  async of(host: string): Promise<LookupAddress[]> {
    const rank = ({ address }: LookupAddress) => this.#failed.indexOf(address);
    return (await addressesOf(host)).toSorted((a, b) => rank(a) - rank(b));
  }

  /** A connection to it is being made. */
  use(address: string): void {
    this.#used = address;
  }

  /** What went to the address in use failed. */
  failed(): void {
    if (this.#used === undefined) return;
    this.#failed = [...this.#failed.filter((each) => each !== this.#used), this.#used].slice(-maxFailed);
  }
}

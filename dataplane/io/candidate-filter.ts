/**
 * Keeps tunnels out of tunnels: a candidate of ours that is an address of one of our own interfaces is not told, and a
 * remote one that the kernel would route through one of them is not tried.
 */
import { networkInterfaces } from 'node:os';
import type { TunFactory } from './tun.ts';
import type { CandidatePair } from './webrtc.ts';

/** Milliseconds that a look at the machine's addresses serves. */
const lookLifetime = 1000;

export class CandidateFilter {
  readonly #tuns: TunFactory;
  readonly #ownInterfaces: () => ReadonlySet<string>;
  #addresses = new Set<string>();
  #lookedAt = Number.NEGATIVE_INFINITY;
  /** The interfaces whose addresses these are. */
  #lookedFor = '';

  constructor(tuns: TunFactory, ownInterfaces: () => ReadonlySet<string>) {
    this.#tuns = tuns;
    this.#ownInterfaces = ownInterfaces;
  }

  mayTell(candidate: string): boolean {
    const address = addressOf(candidate);
    if (address === undefined) return false;
    this.#look();
    return !this.#addresses.has(address);
  }

  mayTry(candidate: string): boolean {
    const address = addressOf(candidate);
    return address !== undefined && this.#mayReach(address);
  }

  /** False where the kernel would send to `address` through one of our own interfaces now. */
  #mayReach(address: string): boolean {
    const own = this.#ownInterfaces();
    if (own.size === 0) return true;
    const through = this.#tuns.route(address, 0)?.interface;
    return through === undefined || !own.has(through);
  }

  /** A check through a tunnel succeeds as well as any other, and a route may come after the check. */
  leadsAstray(pair: CandidatePair | undefined): boolean {
    return pair !== undefined && pair.local.type !== 'relay' && !this.#mayReach(pair.remote.address);
  }

  #look(): void {
    const own = this.#ownInterfaces();
    const names = [...own].join(' ');
    if (names === this.#lookedFor && performance.now() - this.#lookedAt <= lookLifetime) return;
    this.#lookedAt = performance.now();
    this.#lookedFor = names;
    this.#addresses = new Set();
    for (const [name, addresses] of Object.entries(networkInterfaces())) {
      if (!own.has(name)) continue;
      for (const { address } of addresses ?? []) this.#addresses.add(address);
    }
  }
}

/** Fifth field of a candidate line (RFC 8839 section 5.1); a host candidate's address, a reflexive one's mapped one. */
function addressOf(candidate: string): string | undefined {
  return candidate.split(' ', 6)[4];
}

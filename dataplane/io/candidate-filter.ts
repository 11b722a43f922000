/**
 * Keeps tunnels out of tunnels, and links off interfaces that the operator excluded: a candidate of ours that is an
 * address of such an interface is not told, and a remote one that the kernel would route through one is not tried.
 */
import { type InterfaceRules, mayTell, mayUse } from '../core/interface-rules.ts';
import type { Host } from './host.ts';
import type { CandidatePair } from './webrtc.ts';

export interface CandidateFilterOptions {
  readonly host: Pick<Host, 'links' | 'addresses' | 'route'>;
  /** Names of our own interfaces. */
  readonly own: () => ReadonlySet<string>;
  readonly rules: () => InterfaceRules;
  /** SO_MARK of our packets; 0: none. */
  readonly mark: () => number;
}

export class CandidateFilter {
  readonly #options: CandidateFilterOptions;

  constructor(options: CandidateFilterOptions) {
    this.#options = options;
  }

  mayTell(candidate: string): boolean {
    const address = addressOf(candidate);
    if (address === undefined) return false;
    const { host, own, rules } = this.#options;
    const holders = new Set(host.addresses().flatMap((each) => (each.address === address ? each.index : [])));
    return !host
      .links()
      .some(({ index, name }) => holders.has(index) && (own().has(name) || !mayTell(rules(), name)));
  }

  /** Why a remote candidate is not to be tried; undefined where nothing is against it. */
  refusal(candidate: string): string | undefined {
    const address = addressOf(candidate);
    return address === undefined ? 'no address' : this.#detour(address);
  }

  /** Why a pair is no path, whatever passes by it: a check through a tunnel succeeds as well as any other, and a route
   *  may come after the check. Undefined where nothing is against it. */
  detour(pair: CandidatePair | undefined): string | undefined {
    if (pair === undefined || pair.local.type === 'relay') return undefined;
    return this.#detour(pair.remote.address);
  }

  /** Where the kernel would send to `address` by a way that no link may take, now. */
  #detour(address: string): string | undefined {
    const { host, own, rules, mark } = this.#options;
    const { excludeInterfaces = [] } = rules();
    if (own().size === 0 && excludeInterfaces.length === 0) return undefined;
    const route = host.route(address, mark());
    if (route === undefined) return undefined;
    if ('forbids' in route) return `the route to ${address} is of type ${route.forbids}`;
    const { interface: through } = route;
    if (own().has(through)) return `the route to ${address} goes through ${through}, our own tunnel`;
    return mayUse(rules(), through)
      ? undefined
      : `the route to ${address} goes through ${through}, which is excluded`;
  }
}

/** Fifth field of a candidate line (RFC 8839 section 5.1); a host candidate's address, a reflexive one's mapped one. */
function addressOf(candidate: string): string | undefined {
  return candidate.split(' ', 6)[4];
}

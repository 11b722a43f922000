/** The addresses that a node tells its peers, of those that the machine has now. */
import { hostAddresses } from '../core/host-addresses.ts';
import { type InterfaceRules, mayTell } from '../core/interface-rules.ts';
import type { Host } from './host.ts';

/** Addresses that a default route alone leads to: those of a.root-servers.net. Nothing is sent there. */
const worldwide = ['198.41.0.4', '2001:503:ba3e::2:30'];

export interface CandidateAddressOptions {
  readonly host: Pick<Host, 'links' | 'addresses' | 'route'>;
  /** Names of our own interfaces. */
  readonly own: ReadonlySet<string>;
  readonly rules: InterfaceRules;
  /** SO_MARK of our packets; 0: none. */
  readonly mark: number;
}

/** Best first. */
export function candidateAddresses({ host, own, rules, mark }: CandidateAddressOptions): string[] {
  return hostAddresses({
    links: host.links(),
    addresses: host.addresses(),
    sources: new Set(
      worldwide.flatMap((address) => {
        const route = host.route(address, mark);
        return route === undefined || 'forbids' in route ? [] : (route.source ?? []);
      }),
    ),
    permits: (name) => !own.has(name) && mayTell(rules, name),
  });
}

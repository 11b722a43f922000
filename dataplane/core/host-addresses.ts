/**
 * Which addresses of this machine become host candidates, and in what order. A peer checks one every 50 ms (RFC 8445
 * section 14.2) and keeps twenty, so that those come first which a peer most likely reaches:
 *
 *   1. what the kernel sends from towards the rest of the world, unless that is a tunnel
 *   2. other network cards, and what stands for one: VLANs, bonds, the near end of a container's veth
 *   3. bridges and dummies, whose addresses are mostly those of guests, containers and router IDs
 *   4. tunnels: a path through another one works, and is the worst there is
 */

export interface HostLink {
  readonly index: number;
  readonly name: string;
  /** IFF_* of linux/if.h. */
  readonly flags: number;
  /** IFLA_INFO_KIND, as in `ip -details link`; empty for hardware and loopback. */
  readonly kind: string;
  /** Of the interface alone: 0 none, 1 strict, 2 loose. */
  readonly rpFilter: number;
}

export interface HostAddress {
  /** Of its interface. */
  readonly index: number;
  readonly address: string;
  /** IFA_F_* of linux/if_addr.h. */
  readonly flags: number;
  readonly prefixLength: number;
  /** RT_SCOPE_* of linux/rtnetlink.h. */
  readonly scope: number;
}

export interface Choice {
  readonly links: readonly HostLink[];
  readonly addresses: readonly HostAddress[];
  /** What the kernel sends from towards the rest of the world. */
  readonly sources: ReadonlySet<string>;
  /** Whether an interface of this name may be used. */
  readonly permits: (name: string) => boolean;
}

/** A peer keeps twenty candidates: the rest is for what STUN servers see. */
export const maxHostCandidates = 16;

const flag = { up: 0x1, loopback: 0x8, running: 0x40 } as const;
const inUse = flag.up | flag.running;
/** RFC 4862: an address that is to be used no more, and one whose uniqueness is not known. */
const addressFlag = {
  temporary: 0x01,
  optimistic: 0x04,
  dadFailed: 0x08,
  deprecated: 0x20,
  tentative: 0x40,
  stablePrivacy: 0x800,
} as const;
const scopeLink = 253;

const bridges: ReadonlySet<string> = new Set(['bridge', 'dummy', 'ifb', 'nlmon', 'openvswitch', 'vrf']);
const tunnels: ReadonlySet<string> = new Set([
  ...[
    'bareudp',
    'erspan',
    'geneve',
    'gre',
    'gretap',
    'gtp',
    'ip6erspan',
    'ip6gre',
    'ip6gretap',
    'ip6tnl',
    'ipip',
  ],
  ...['netkit', 'ovpn', 'sit', 'tun', 'vti', 'vti6', 'vxlan', 'wireguard', 'xfrm'],
]);

/** At most `maxHostCandidates`, best first. Those of loopback only on a machine that has nothing else, so that nodes
 *  in a bare namespace can still reach each other. */
export function hostAddresses(choice: Choice): string[] {
  const links = new Map(choice.links.map((link) => [link.index, link]));
  const usable = choice.addresses.flatMap((address) => {
    const link = links.get(address.index);
    if (link === undefined || (link.flags & inUse) !== inUse || !choice.permits(link.name)) return [];
    if (!isUsable(address) || isTrackable(address, choice.addresses)) return [];
    return [{ ...address, link, rank: rankOf(address, link, choice.sources) }];
  });
  const external = usable.filter(({ link }) => (link.flags & flag.loopback) === 0);
  const sorted = (external.length > 0 ? external : usable).sort(
    (a, b) => a.rank - b.rank || family(a) - family(b) || a.index - b.index,
  );
  return [...new Set(sorted.map(({ address }) => address))].slice(0, maxHostCandidates);
}

function isUsable({ address, flags, scope }: HostAddress): boolean {
  if (/^(fe[89ab]|169\.254\.)/i.test(address) || scope === scopeLink) return false;
  if ((flags & (addressFlag.deprecated | addressFlag.dadFailed)) !== 0) return false;
  return (flags & addressFlag.tentative) === 0 || (flags & addressFlag.optimistic) !== 0;
}

/** RFC 8445 section 5.1.1.1: an address made of the card's own (RFC 4291, appendix A) is none beside one of the same
 *  prefix that was made against being recognized. */
function isTrackable(one: HostAddress, all: readonly HostAddress[]): boolean {
  if (!one.address.includes(':') || !/ff:fe[0-9a-f]{2}:[0-9a-f]{1,4}$/i.test(one.address)) return false;
  const prefix = prefixOf(one.address);
  return all.some(
    ({ index, address, flags }) =>
      index === one.index &&
      (flags & (addressFlag.temporary | addressFlag.stablePrivacy)) !== 0 &&
      (flags & (addressFlag.deprecated | addressFlag.tentative)) === 0 &&
      address.includes(':') &&
      prefixOf(address) === prefix,
  );
}

/** The first 64 bits. */
function prefixOf(address: string): string {
  const [head = '', tail] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0');
  return [...left, ...zeros, ...right].slice(0, 4).join(':');
}

function rankOf({ address }: HostAddress, { kind }: HostLink, sources: ReadonlySet<string>): number {
  const isSource = sources.has(address);
  if (tunnels.has(kind)) return isSource ? 4 : 5;
  if (isSource) return 1;
  return bridges.has(kind) ? 3 : 2;
}

/** IPv6 first, as RFC 8421 has it. */
function family({ address }: HostAddress): number {
  return address.includes(':') ? 0 : 1;
}

/** What a routing daemon is to do on the links of a node, before it is written as one daemon or another reads it. */
import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { CryonetError } from '../../protocol/errors.ts';
import { ipv6Groups } from '../../protocol/ipv6.ts';
import type { StatusReport } from '../../protocol/status.ts';

export interface Plan {
  /** ID of this node. */
  readonly node: string;
  /** In the form of an IPv4 address: of the node's key, so that each node has another one and keeps it. */
  readonly routerId: string;
  readonly links: readonly RoutedLink[];
  /** The pattern that interfaces of later peers match; undefined where this node's interfaces are called otherwise. */
  readonly pattern: string | undefined;
  readonly prefixes: Readonly<Record<'ipv4' | 'ipv6', readonly string[]>>;
}

interface RoutedLink {
  readonly interface: string;
  readonly peer: string;
  /** Null: no packets pass now, and the daemon's own default counts. */
  readonly cost: number | null;
}

/** The default of `--interface-prefix`. */
const usualPrefix = 'cn';

/** Throws `bad_config` for what is no prefix, and where there is none. */
export function planOf({ node, peers }: StatusReport, prefixes: readonly string[]): Plan {
  const links = peers.flatMap(({ id, interface: device, cost }) =>
    device === null || !/^[\w.-]{1,15}$/.test(device.name)
      ? []
      : [{ interface: device.name, peer: id, cost: cost ?? null }],
  );
  const isUsual = links.every((link) => link.interface.startsWith(usualPrefix));
  return {
    node: node.id,
    routerId: routerIdOf(node.identity),
    links,
    pattern: isUsual ? `${usualPrefix}*` : undefined,
    prefixes: byFamily(prefixes),
  };
}

function byFamily(prefixes: readonly string[]): Plan['prefixes'] {
  if (prefixes.length === 0)
    throw new CryonetError(
      'bad_config',
      'say by --prefix what is routed over the mesh, such as --prefix 10.20.0.0/16 --prefix fd20::/16',
    );
  const networks = [...new Set(prefixes.map(networkOf))];
  return {
    ipv4: networks.filter((each) => !each.includes(':')),
    ipv6: networks.filter((each) => each.includes(':')),
  };
}

/** The prefix with no bit set behind its length: daemons refuse others. */
function networkOf(prefix: string): string {
  const [, address = '', length = ''] = /^([\da-fA-F.:]+)\/(\d{1,3})$/.exec(prefix) ?? [];
  const family = isIP(address);
  const bits = family === 4 ? 32 : 128;
  if (family === 0 || Number(length) > bits)
    throw new CryonetError('bad_config', `--prefix takes a network such as 10.20.0.0/16, not ${prefix}`);
  const width = family === 4 ? 8 : 16;
  const parts = family === 4 ? address.split('.').map(Number) : ipv6Groups(address)!;
  const kept = parts.map((part, at) => {
    const free = Math.min(width, Math.max(0, width * (at + 1) - Number(length)));
    return part - (part % 2 ** free);
  });
  if (family === 4) return `${kept.join('.')}/${length}`;
  const written = new URL(`http://[${kept.map((group) => group.toString(16)).join(':')}]/`).hostname;
  return `${written.slice(1, -1)}/${length}`;
}

function routerIdOf(identity: string): string {
  const digest = createHash('sha256').update(`cryonet router ${identity}`).digest();
  // 0.0.0.0 is none, and what begins with 224 or more no address of a host.
  return [1 + (digest[0]! % 223), ...digest.subarray(1, 4)].join('.');
}

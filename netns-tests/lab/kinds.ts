/** Kinds of places that nodes are at in the Internet: where their host stands, and what a node there is told. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Internet } from './internet.ts';
import type { Lab } from './lab.ts';
import type { Namespace } from './namespace.ts';
import { coneNat, type NatKind, symmetricNat } from './nat.ts';
import { CryonetNode } from './node.ts';
import type { Program } from './program.ts';
import { endpoint } from './topology.ts';
import { startTurnServer, type TurnServer } from './turn.ts';

/** What is in public, by both families. */
export interface World {
  readonly internet: Internet;
  readonly server: TurnServer;
  readonly boot: Namespace;
  readonly proxy: Namespace;
}

const ports = { signaling: 80, dns: 53, proxy: 8888 } as const;

interface Kind {
  /** Two hosts, each at a place of this kind. */
  readonly settle: (world: World, labels: readonly [string, string]) => Promise<readonly Namespace[]>;
  /** By which family it reaches what is in public; IPv4 unless told otherwise. */
  readonly family?: 'ipv6';
  /** The port of the STUN and TURN server that it may use, unless it is the usual one. */
  readonly iceByIpv4?: { readonly port: number };
  readonly byProxy?: true;
}

const each =
  (settle: (world: World, label: string) => Promise<Namespace>): Kind['settle'] =>
  async (world, labels) => [await settle(world, labels[0]), await settle(world, labels[1])];

const nat = (kind: NatKind) => each(async ({ internet }, label) => (await internet.home(kind, label))[0]!);

const firewalled = (...accepted: readonly string[]) =>
  each(async ({ internet }, label) => {
    const [host] = await internet.home(coneNat(), label);
    await internet.permitOnly(host!, ...accepted);
    return host!;
  });

const web = 'tcp dport { 80, 443 }';

export const kinds = {
  public: { settle: each(({ internet }, label) => internet.publicHost(label, { ipv6: true })) },
  'one-to-one': { settle: each(({ internet }, label) => internet.oneToOne(label)) },
  'full-cone': { settle: nat(coneNat('endpoint-independent')) },
  restricted: { settle: nat(coneNat('address-dependent')) },
  'port-restricted': { settle: nat(coneNat()) },
  preserving: { settle: nat({ ...coneNat(), preserving: true }) },
  forgetful: { settle: nat({ ...coneNat(), lifetime: 15 }) },
  symmetric: { settle: nat(symmetricNat()) },
  /** Both behind the NAT of one carrier, which does not send back what is to itself. */
  carrier: { settle: ({ internet }, labels) => internet.homesBehind(coneNat(), coneNat(), ...labels) },
  /** The same, and it does. */
  hairpin: {
    settle: ({ internet }, labels) =>
      internet.homesBehind({ ...coneNat(), hairpinning: true }, coneNat(), ...labels),
  },
  ipv6: { settle: each(({ internet }, label) => internet.sixHome('ipv6 alone', label)), family: 'ipv6' },
  nat64: {
    settle: each(({ internet }, label) => internet.sixHome('nat64', label)),
    ...{ family: 'ipv6', iceByIpv4: { port: 3478 } },
  },
  /** UDP to port 53 alone, TCP to 80 and 443 alone. */
  web: { settle: firewalled(`udp dport ${ports.dns}`, web), iceByIpv4: { port: ports.dns } },
  'no-udp': { settle: firewalled('meta l4proto tcp') },
  proxy: {
    settle: each(async ({ internet, proxy }, label) => {
      const [host] = await internet.home(coneNat(), label);
      await internet.permitOnly(host!, `ip daddr ${proxy.address} tcp dport ${ports.proxy}`);
      return host!;
    }),
    byProxy: true,
  },
} as const satisfies Readonly<Record<string, Kind>>;

export type KindName = keyof typeof kinds;

export const kindNames = Object.keys(kinds) as KindName[];

/** The Internet with what nodes meet by: a STUN and TURN server, which UDP port 53 leads to as well; a host for a bootstrap
 *  node; an HTTP proxy. */
export async function makeWorld(lab: Lab): Promise<World> {
  const internet = await Internet.make(lab);
  const inPublic = { ipv6: true };
  const server = await startTurnServer(await internet.publicHost('server', inPublic));
  await server.host.rules(
    `table inet redirected {
       chain prerouting {
         type nat hook prerouting priority dstnat;
         udp dport ${ports.dns} redirect to :${server.port}
       }
     }`,
  );
  const boot = await internet.publicHost('boot', inPublic);
  const proxy = await internet.publicHost('proxy');
  await startProxy(proxy).says(/Accepting connections/);
  return { internet, server, boot, proxy };
}

function startProxy(host: Namespace): Program {
  const file = join(host.lab.directory, 'tinyproxy.conf');
  const lines = [
    `Listen ${host.address}`,
    `Port ${ports.proxy}`,
    'LogLevel Info',
    `ConnectPort ${ports.signaling}`,
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  return host.start('tinyproxy', ['tinyproxy', '-d', '-c', file]);
}

/** The bootstrap node, which everybody can reach. Not started. */
export function bootNode({ boot }: World, options: readonly string[]): CryonetNode {
  return new CryonetNode(boot, { options: ['--listen', endpoint('::', ports.signaling), ...options] });
}

/** A node on a host of this kind, with further options. Not started. */
export function nodeAt(
  { boot, server, proxy }: World,
  name: KindName,
  host: Namespace,
  options: readonly string[],
): CryonetNode {
  const { family, iceByIpv4, byProxy }: Kind = kinds[name];
  const of = ({ addresses }: Namespace, six: boolean) => addresses.find((one) => one.includes(':') === six)!;
  const asked = endpoint(
    of(server.host, family === 'ipv6' && iceByIpv4 === undefined),
    iceByIpv4?.port ?? server.port,
  );
  return new CryonetNode(host, {
    ...(byProxy && { through: ['env', `HTTP_PROXY=http://${endpoint(proxy.address, ports.proxy)}`] }),
    options: [
      ...['--ws-servers', `ws://${endpoint(of(boot, family === 'ipv6'), ports.signaling)}`],
      ...['--ice-servers', `stun:${asked},turn:${asked}|lab|secret`],
      ...options,
    ],
  });
}

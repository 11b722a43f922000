/** A host with two uplinks. */
import type { Lab } from './lab.ts';
import type { Namespace } from './namespace.ts';

/** By the name of nftables' match: address of a host in a network, prefix length, every address. */
export const families = {
  ip: { at: (net: number, host: number) => `10.${net}.0.${host}`, prefix: 24, any: '0.0.0.0/0' },
  ip6: { at: (net: number, host: number) => `2001:db8:${net}::${host}`, prefix: 64, any: '::/0' },
} as const;

export type Family = keyof typeof families;

export interface Uplinks {
  readonly router: Namespace;
  /** Has one uplink. */
  readonly left: Namespace;
  /** Has two: interfaces `first`, by which its default route leads, and `second`. */
  readonly right: Namespace;
  /** Of the right one. */
  readonly first: Uplink;
  readonly second: Uplink;
}

export interface Uplink {
  readonly address: string;
  readonly gateway: string;
}

/**
 *   left  .9.2 ── router ──┬── .1.2, default ──┐
 *                          └── .2.2 ─────────── right
 */
export async function twoUplinks(lab: Lab, family: Family): Promise<Uplinks> {
  const { at, prefix, any } = families[family];
  const router = await lab.namespace('router');
  const [left, right] = [await lab.namespace('a'), await lab.namespace('b')];
  await router.$`sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1`;
  for (const [net, host, as] of [
    [9, left, 'eth0'],
    [1, right, 'first'],
    [2, right, 'second'],
  ] as const) {
    await router.configure(
      `link add net${net} type veth peer name ${as} netns ${host.name}`,
      `link set net${net} up`,
      `addr add ${at(net, 1)}/${prefix} dev net${net} nodad`,
    );
    await host.configure(`link set ${as} up`, `addr add ${at(net, 2)}/${prefix} dev ${as} nodad`);
    host.addresses.push(at(net, 2));
  }
  const uplink = (net: number): Uplink => ({ address: at(net, 2), gateway: at(net, 1) });
  const uplinks = { router, left, right, first: uplink(1), second: uplink(2) };
  await left.configure(`route add ${any} via ${at(9, 1)}`);
  await takeUplink(right, uplinks.first, family);
  return uplinks;
}

/** Has the default route lead by an uplink. */
export async function takeUplink(
  host: Namespace,
  { address, gateway }: Uplink,
  family: Family,
): Promise<void> {
  await host.configure(`route replace ${families[family].any} via ${gateway} src ${address}`);
}

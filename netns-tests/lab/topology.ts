/** Networks to put nodes on. */
import { isIPv6 } from 'node:net';
import type { Lab } from './lab.ts';
import type { Namespace } from './namespace.ts';
import { type NatKind, natRules } from './nat.ts';
import { Switch } from './switch.ts';

export interface Lan {
  readonly wires: Switch;
  readonly hosts: readonly Namespace[];
}

/**
 * Hosts on one switch.
 *
 *   a ──┐
 *   b ──┤ switch     198.51.100.1, .2, …/24 and 2001:db8:1::1, ::2, …/64
 *   c ──┘
 */
export async function lan(
  lab: Lab,
  labels: readonly string[],
  family: 'both' | 'ipv4' | 'ipv6' = 'both',
): Promise<Lan> {
  const wires = await Switch.make(await lab.namespace('switch'));
  const hosts: Namespace[] = [];
  for (const [index, label] of labels.entries()) {
    const host = await lab.namespace(label);
    const ipv4 = `198.51.100.${index + 1}/24`;
    const ipv6 = `2001:db8:1::${(index + 1).toString(16)}/64`;
    await wires.plug(host, { addresses: { both: [ipv4, ipv6], ipv4: [ipv4], ipv6: [ipv6] }[family] });
    hosts.push(host);
  }
  return { wires, hosts };
}

interface Router {
  readonly namespace: Namespace;
  readonly kind: NatKind;
  seed: number;
  /** Of connection tracking, of all that is no UDP. */
  zone: number;
}

/** Seeds of different homes stay different, however often their routers restart. */
const seedStep = 256;

/**
 * An IPv4 network on which every address reaches every other, with homes behind NAT on it.
 *
 *   host ── router ──┐ 203.0.113.0/24
 *   host ── router ──┤
 *         public ────┘
 *   10.<n>.0.0/24
 */
export class Internet {
  readonly #lab: Lab;
  readonly #wires: Switch;
  /** By host. */
  readonly #routers = new Map<Namespace, Router>();
  #used = 0;
  #homes = 0;

  private constructor(lab: Lab, wires: Switch) {
    this.#lab = lab;
    this.#wires = wires;
  }

  static async make(lab: Lab): Promise<Internet> {
    return new Internet(lab, await Switch.make(await lab.namespace('internet')));
  }

  /** A host with public addresses of its own. */
  async publicHost(label: string, addresses = 1): Promise<Namespace> {
    const host = await this.#lab.namespace(label);
    await this.#wires.plug(host, { addresses: Array.from({ length: addresses }, () => this.#address()) });
    return host;
  }

  /** Hosts behind a router of this kind. */
  async home(kind: NatKind, ...labels: readonly string[]): Promise<Namespace[]> {
    return this.#home(kind, this.#wires, this.#address(), labels);
  }

  /**
   * Hosts each at a home of its own, whose router has an address of a carrier's (RFC 6598), which has a NAT as well.
   *
   *   host ── router ──┐ 100.64.0.0/10
   *   host ── router ──┴── carrier ──┐ 203.0.113.0/24
   */
  async homesBehind(carrier: NatKind, kind: NatKind, ...labels: readonly string[]): Promise<Namespace[]> {
    const { namespace } = await this.#router('carrier', carrier, this.#wires, this.#address());
    const inside = await Switch.make(namespace, ['100.64.0.1/10']);
    const hosts: Namespace[] = [];
    for (const [index, label] of labels.entries()) {
      hosts.push(...(await this.#home(kind, inside, `100.64.0.${index + 2}/10`, [label], '100.64.0.1')));
    }
    return hosts;
  }

  async #home(
    kind: NatKind,
    outside: Switch,
    address: string,
    labels: readonly string[],
    gateway?: string,
  ): Promise<Namespace[]> {
    const home = this.#homes + 1;
    const nat = await this.#router(`router${home}`, kind, outside, address);
    const inside = await Switch.make(nat.namespace, [`10.${home}.0.1/24`]);
    if (gateway !== undefined) await nat.namespace.configure(`route add default via ${gateway}`);
    const hosts: Namespace[] = [];
    for (const [index, label] of labels.entries()) {
      const host = await this.#lab.namespace(label);
      await inside.plug(host, { addresses: [`10.${home}.0.${index + 2}/24`] });
      await host.configure(`route add default via 10.${home}.0.1`);
      this.#routers.set(host, nat);
      hosts.push(host);
    }
    return hosts;
  }

  async #router(label: string, kind: NatKind, outside: Switch, address: string): Promise<Router> {
    const home = ++this.#homes;
    const namespace = await this.#lab.namespace(label);
    await outside.plug(namespace, { as: 'wan', addresses: [address] });
    // Where the kernel has br_netfilter, a bridge looks at the router's rules as well, and keeps what they send back inside
    // to itself: past the translation of its source.
    await namespace.$`sysctl -qe -w net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=0`;
    await namespace.rules(natRules(kind, namespace.address, home));
    return { namespace, kind, seed: home, zone: home };
  }

  /** The router of a host behind NAT forgets every mapping, as in a restart, and makes others; with a new lease at
   *  another address. Resolves with its address. */
  async restartRouter(host: Namespace, { lease }: { lease: 'kept' | 'new' }): Promise<string> {
    const router = this.#routers.get(host)!;
    if (lease === 'new') await this.#lease(router);
    router.seed += seedStep;
    router.zone = router.seed;
    return this.#translate(router);
  }

  /** The mappings of UDP end at the router of a host behind NAT, and others are made. */
  async endMappings(host: Namespace): Promise<void> {
    const router = this.#routers.get(host)!;
    router.seed += seedStep;
    await this.#translate(router);
  }

  /** The router of a host behind NAT gets another address, and keeps its connection tracking: what is known of goes on
   *  leaving from the address before. Resolves with the new one. */
  async redial(host: Namespace): Promise<string> {
    const router = this.#routers.get(host)!;
    const before = router.namespace.address;
    await this.#lease(router);
    // Who knows the router as the neighbor of that address would send to it for a while.
    await router.namespace.rules(
      `table ip returned {
         chain prerouting {
           type filter hook prerouting priority raw - 1;
           iifname wan ip daddr ${before} drop
         }
       }`,
    );
    return this.#translate(router);
  }

  async #lease({ namespace }: Router): Promise<void> {
    const address = this.#address();
    await namespace.configure('addr flush dev wan', `addr add ${address} dev wan`);
    namespace.addresses[0] = address.split('/')[0]!;
  }

  async #translate({ namespace, kind, seed, zone }: Router): Promise<string> {
    await namespace.rules(natRules(kind, namespace.address, seed, zone));
    return namespace.address;
  }

  #address(): string {
    return `203.0.113.${++this.#used}/24`;
  }
}

/** `host:port` as it stands in a URL or in `--listen`. */
export function endpoint(address: string, port: number): string {
  return isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
}

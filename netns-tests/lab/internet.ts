/** An Internet: public hosts, and homes of every kind on it. */
import type { Lab } from './lab.ts';
import type { Namespace } from './namespace.ts';
import { type NatKind, natRules, staticNatRules } from './nat.ts';
import { startNat64 } from './nat64.ts';
import { Switch } from './switch.ts';

interface Router {
  readonly namespace: Namespace;
  /** Undefined: it translates no addresses, or always in the same way. */
  readonly kind: NatKind | undefined;
  seed: number;
  /** Of connection tracking, of all that is no UDP. */
  zone: number;
}

/** Seeds of different homes stay different, however often their routers restart. */
const seedStep = 256;

const core = { ipv4: '203.0.113.254', ipv6: '2001:db8::ffff' } as const;

/** Which way a home is served: what its router does with the addresses of IPv6, as IPv4 is not there. */
export type SixHome = 'ipv6 alone' | 'nat64';

/**
 * Every public address reaches every other one, and homes are on it behind routers. What is to an address of a private
 * network is lost, without a word, as in the Internet.
 *
 *   host ── router ──┐ 203.0.113.0/24, 2001:db8::/64
 *   host ── router ──┤ core
 *         public ────┘
 *   10.<n>.0.0/24, or 2001:db8:<n>::/64
 */
export class Internet {
  readonly #lab: Lab;
  readonly #core: Namespace;
  readonly #wires: Switch;
  /** By host. */
  readonly #routers = new Map<Namespace, Router>();
  #used = 0;
  #homes = 0;

  private constructor(lab: Lab, core: Namespace, wires: Switch) {
    this.#lab = lab;
    this.#core = core;
    this.#wires = wires;
  }

  static async make(lab: Lab): Promise<Internet> {
    const namespace = await lab.namespace('internet');
    const wires = await Switch.make(namespace, [`${core.ipv4}/24`, `${core.ipv6}/64`]);
    await forwards(namespace);
    await namespace.configure('route add blackhole default');
    return new Internet(lab, namespace, wires);
  }

  /** A host with public addresses of its own: so many of IPv4, and one of IPv6 where it is to have both. */
  async publicHost(label: string, { addresses = 1, ipv6 = false } = {}): Promise<Namespace> {
    const host = await this.#lab.namespace(label);
    const own = Array.from({ length: addresses }, () => this.#address());
    await this.#wires.plug(host, { addresses: ipv6 ? [...own, sixOf(own[0]!)] : own });
    await host.configure(`route add default via ${core.ipv4}`);
    if (ipv6) await host.configure(`route add default via ${core.ipv6}`);
    return host;
  }

  /** Hosts behind a router of this kind. */
  async home(kind: NatKind, ...labels: readonly string[]): Promise<Namespace[]> {
    return this.#home(kind, this.#wires, this.#address(), core.ipv4, labels);
  }

  /** A host whose router gives all that it sends, and all that comes for it, the one public address that is its own. */
  async oneToOne(label: string): Promise<Namespace> {
    const [host] = await this.#home(undefined, this.#wires, this.#address(), core.ipv4, [label]);
    const { namespace } = this.#routers.get(host!)!;
    await namespace.rules(staticNatRules(namespace.address, host!.address));
    return host!;
  }

  /**
   * Hosts each at a home of its own, whose router has an address of a carrier's (RFC 6598), which has a NAT as well.
   *
   *   host ── router ──┐ 100.64.0.0/10
   *   host ── router ──┴── carrier ──┐ 203.0.113.0/24
   */
  async homesBehind(carrier: NatKind, kind: NatKind, ...labels: readonly string[]): Promise<Namespace[]> {
    const name = `carrier${this.#homes}`;
    const { namespace } = await this.#router(name, carrier, this.#wires, this.#address(), core.ipv4);
    const inside = await Switch.make(namespace, ['100.64.0.1/10']);
    const hosts: Namespace[] = [];
    for (const [index, label] of labels.entries()) {
      hosts.push(...(await this.#home(kind, inside, `100.64.0.${index + 2}/10`, '100.64.0.1', [label])));
    }
    return hosts;
  }

  /**
   * A host with IPv6 alone, of an address that everybody reaches, behind a firewall that lets in what was asked for; with
   * a NAT64 in the router, IPv4 is reached as well.
   */
  async sixHome(served: SixHome, label: string): Promise<Namespace> {
    const home = ++this.#homes;
    const router = await this.#lab.namespace(`router${home}`);
    const own = this.#address();
    const outer = sixOf(own);
    const [inner, network] = [`2001:db8:${home}::1`, `2001:db8:${home}::/64`];
    await this.#wires.plug(router, {
      as: 'wan',
      addresses: served === 'nat64' ? [own, outer] : [outer],
    });
    await forwards(router);
    const inside = await Switch.make(router, [`${inner}/64`]);
    const host = await this.#lab.namespace(label);
    await inside.plug(host, { addresses: [`2001:db8:${home}::2/64`] });
    await router.configure(`route add default via ${core.ipv6}`);
    await this.#core.configure(`route add ${network} via ${outer.split('/')[0]}`);
    // What nobody asked for is dropped, not refused: an entry of connection tracking would keep the port of who answers.
    await router.rules(
      `table inet firewall {
         chain forward {
           type filter hook forward priority filter; policy drop;
           ct state established,related accept
           iifname != wan accept
         }
         chain input {
           type filter hook input priority filter;
           iifname wan meta l4proto udp drop
         }
       }`,
    );
    if (served === 'nat64') {
      await router.configure(`route add default via ${core.ipv4}`);
      await startNat64(router, host, inner);
    } else {
      await host.configure(`route add default via ${inner}`);
    }
    return host;
  }

  /** The router of a host sends on no more than these rules of nftables, for what comes from `lan`, accept. */
  async permitOnly(host: Namespace, ...accepted: readonly string[]): Promise<void> {
    const { namespace } = this.#routers.get(host)!;
    await namespace.rules(
      `table ip outgoing {
         chain forward {
           type filter hook forward priority filter - 1;
           ${accepted.map((rule) => `iifname lan ${rule} accept`).join('\n')}
           iifname lan drop
         }
       }`,
    );
  }

  async #home(
    kind: NatKind | undefined,
    outside: Switch,
    address: string,
    gateway: string,
    labels: readonly string[],
  ): Promise<Namespace[]> {
    const home = this.#homes + 1;
    const nat = await this.#router(`router${home}`, kind, outside, address, gateway);
    const inside = await Switch.make(nat.namespace, [`10.${home}.0.1/24`]);
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

  async #router(
    label: string,
    kind: NatKind | undefined,
    outside: Switch,
    address: string,
    gateway: string,
  ): Promise<Router> {
    const home = ++this.#homes;
    const namespace = await this.#lab.namespace(label);
    await outside.plug(namespace, { as: 'wan', addresses: [address] });
    await forwards(namespace);
    await namespace.configure(`route add default via ${gateway}`);
    if (kind !== undefined) await namespace.rules(natRules(kind, namespace.address, home));
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
    await namespace.configure(
      'addr flush dev wan',
      `addr add ${address} dev wan`,
      `route replace default via ${core.ipv4}`,
    );
    namespace.addresses[0] = address.split('/')[0]!;
  }

  async #translate({ namespace, kind, seed, zone }: Router): Promise<string> {
    if (kind === undefined) throw new Error(`${namespace.label} has no mappings`);
    await namespace.rules(natRules(kind, namespace.address, seed, zone));
    return namespace.address;
  }

  #address(): string {
    return `203.0.113.${++this.#used}/24`;
  }
}

/** The address of IPv6 beside one of IPv4, both with their prefix lengths: the last number is the same. */
function sixOf(address: string): string {
  return `2001:db8::${Number(/\.(\d+)\//.exec(address)![1]).toString(16)}/64`;
}

async function forwards(namespace: Namespace): Promise<void> {
  // Where the kernel has br_netfilter, a bridge looks at the router's rules as well, and keeps what they send back inside
  // to itself: past the translation of its source.
  await namespace.$`sysctl -qe -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.bridge.bridge-nf-call-iptables=0`;
}

/**
 * Two hosts with two routers between them, and in the middle a link whose MTU can be changed. The routers say nothing
 * of packets that are too long: whoever relies on ICMP finds a black hole.
 *
 *   a ── r1 ══════════ r2 ── b      10.1.0.0/24, 10.2.0.0/24, 10.3.0.0/24
 */
import type { Lab } from './lab.ts';
import type { Namespace } from './namespace.ts';

export class Routers {
  readonly hosts: readonly [Namespace, Namespace];
  readonly #routers: readonly [Namespace, Namespace];

  private constructor(hosts: readonly [Namespace, Namespace], routers: readonly [Namespace, Namespace]) {
    this.hosts = hosts;
    this.#routers = routers;
  }

  /** `edge`: the MTU between hosts and routers, bytes. */
  static async make(lab: Lab, labels: readonly [string, string], edge: number): Promise<Routers> {
    const hosts = [await lab.namespace(labels[0]), await lab.namespace(labels[1])] as const;
    const routers = [await lab.namespace('r1'), await lab.namespace('r2')] as const;
    for (const [n, net] of [
      [0, '10.1.0'],
      [1, '10.3.0'],
    ] as const) {
      await routers[n].configure(
        `link add host type veth peer name eth0 netns ${hosts[n].name}`,
        `link set host mtu ${edge} up`,
        `addr add ${net}.1/24 dev host`,
      );
      await hosts[n].configure(
        `link set eth0 mtu ${edge} up`,
        `addr add ${net}.2/24 dev eth0`,
        `route add default via ${net}.1`,
      );
      hosts[n].addresses.push(`${net}.2`);
    }
    await routers[0].configure(
      `link add middle type veth peer name middle netns ${routers[1].name}`,
      'addr add 10.2.0.1/24 dev middle',
      'link set middle up',
      'route add 10.3.0.0/24 via 10.2.0.2',
    );
    await routers[1].configure(
      'addr add 10.2.0.2/24 dev middle',
      'link set middle up',
      'route add 10.1.0.0/24 via 10.2.0.1',
    );
    for (const router of routers) {
      await router.$`sysctl -qw net.ipv4.ip_forward=1`;
      await router.rules(
        `table ip silence {
           chain output {
             type filter hook output priority filter;
             icmp type destination-unreachable drop
           }
         }`,
      );
    }
    return new Routers(hosts, routers);
  }

  /** From b to a packets take a link of their own from now on, of this MTU. */
  async setMtuBack(bytes: number): Promise<void> {
    const [r1, r2] = this.#routers;
    await r1.configure(
      `link add back type veth peer name back netns ${r2.name}`,
      'addr add 10.4.0.1/24 dev back',
      `link set back mtu ${bytes} up`,
    );
    await r2.configure(
      'addr add 10.4.0.2/24 dev back',
      `link set back mtu ${bytes} up`,
      'route replace 10.1.0.0/24 via 10.4.0.1',
    );
    for (const router of this.#routers) {
      await router.$`sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.middle.rp_filter=0 net.ipv4.conf.back.rp_filter=0`;
    }
  }

  /** Rules of both routers. */
  async rules(text: string): Promise<void> {
    for (const router of this.#routers) await router.rules(text);
  }

  /** Packets that both have counted by their counter of this name, in the table `ip fault`. */
  async counted(name: string): Promise<number> {
    let sum = 0;
    for (const router of this.#routers) {
      const { stdout } = await router.$`nft list counter ip fault ${name}`;
      sum += Number(/packets (\d+)/.exec(stdout)?.[1]);
    }
    return sum;
  }

  async setMtu(bytes: number): Promise<void> {
    for (const router of this.#routers) await router.configure(`link set middle mtu ${bytes}`);
  }
}

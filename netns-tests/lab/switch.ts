/** An Ethernet switch: a bridge in a namespace, with a firewall between its ports. */
import { run } from './commands.ts';
import type { Namespace } from './namespace.ts';

export interface Plug {
  /** Interface name inside the namespace, default `eth0`. */
  readonly as?: string;
  /** With prefix length. */
  readonly addresses: readonly string[];
}

export class Switch {
  readonly #namespace: Namespace;
  readonly #ports = new Map<Namespace, string>();

  private constructor(namespace: Namespace) {
    this.#namespace = namespace;
  }

  /** Puts the bridge, named `lan`, into the namespace; with addresses it is a router's own port as well. */
  static async make(namespace: Namespace, addresses: readonly string[] = []): Promise<Switch> {
    await namespace.configure(
      'link add lan type bridge forward_delay 0 mcast_snooping 0',
      'link set lan up',
      ...addresses.map((address) => `addr add ${address} dev lan nodad`),
    );
    return new Switch(namespace);
  }

  /** Connects a namespace by a veth pair. Addresses are usable at once. */
  async plug(namespace: Namespace, { as = 'eth0', addresses }: Plug): Promise<void> {
    const port = `p${this.#ports.size}`;
    this.#ports.set(namespace, port);
    await this.#namespace.configure(
      `link add ${port} type veth peer name ${as} netns ${namespace.name}`,
      `link set ${port} master lan up`,
    );
    await namespace.configure(
      `link set ${as} up`,
      ...addresses.map((address) => `addr add ${address} dev ${as} nodad`),
    );
    namespace.addresses.push(...addresses.map((address) => address.split('/')[0]!));
  }

  /** Nothing passes between the groups any more; inside each everything does. */
  async partition(...groups: readonly (readonly Namespace[])[]): Promise<void> {
    const drops = groups.flatMap((from, index) =>
      groups
        .filter((_, other) => other !== index)
        .map((to) => `iifname { ${this.#list(from)} } oifname { ${this.#list(to)} } drop`),
    );
    await this.#filter(drops);
  }

  /** Loses this share (0 to 1) of all frames, at random. */
  async lose(share: number): Promise<void> {
    await this.#filter([`numgen random mod 10000 < ${Math.round(share * 10_000)} drop`]);
  }

  /** Loses what matches, in the words of nftables. */
  async drop(...matches: readonly string[]): Promise<void> {
    await this.#filter(matches.map((match) => `${match} drop`));
  }

  /** Everything passes again. */
  async heal(): Promise<void> {
    await this.#filter([]);
  }

  /** Bounds what the namespace receives, in Mbit/s. */
  async limitRate(namespace: Namespace, megabits: number): Promise<void> {
    const port = this.#ports.get(namespace)!;
    const shaped = `tbf rate ${megabits}mbit burst 64kb latency 50ms`.split(' ');
    await run(['tc', '-n', this.#namespace.name, 'qdisc', 'replace', 'dev', port, 'root', ...shaped]);
  }

  #list(namespaces: readonly Namespace[]): string {
    return namespaces.map((namespace) => this.#ports.get(namespace)!).join(', ');
  }

  async #filter(rules: readonly string[]): Promise<void> {
    await this.#namespace.rules(
      `table bridge wires {}
       delete table bridge wires
       table bridge wires {
         chain forward {
           type filter hook forward priority filter;
           ${rules.join('\n')}
         }
       }`,
    );
  }
}

/** This project's own programs, with their defaults. */
import { join } from 'node:path';
import type { Namespace } from '../../netns-tests/lab/namespace.ts';
import { CryonetNode } from '../../netns-tests/lab/node.ts';
import { waitFor } from '../../netns-tests/lab/wait.ts';
import { type Contender, innerAddress, monotonic, type Overlay, type OverlayOptions } from '../contender.ts';

const joinMilliseconds = 20_000;
const upMilliseconds = 20_000;

class Cryonet implements Overlay {
  readonly hosts: readonly Namespace[];
  readonly listening = { protocol: 'tcp', port: 2333 } as const;
  readonly #nodes: readonly CryonetNode[];

  constructor(hosts: readonly Namespace[], { iceServers, cold }: OverlayOptions) {
    this.hosts = hosts;
    const { lab } = hosts[0]!;
    const cache = ['env', `NODE_COMPILE_CACHE=${join(lab.directory, 'compile-cache')}`];
    const options = {
      listen: true,
      options: ['--log-level', 'info', ...(iceServers ? ['--ice-servers', iceServers] : [])],
      through: cold ? cache : [],
    };
    const first = new CryonetNode(hosts[0]!, options);
    const others = hosts.slice(1).map((host) => new CryonetNode(host, { ...options, bootstrap: [first] }));
    this.#nodes = [first, ...others];
  }

  async start(host: number): Promise<bigint> {
    const before = monotonic();
    this.#nodes[host]!.start();
    return before;
  }

  async kill(host: number): Promise<void> {
    const { program } = this.#nodes[host]!;
    program.signal('SIGKILL');
    await program.exited;
  }

  targets(from: number, to: readonly number[]): string[] {
    const path = `/run/netns/${this.hosts[from]!.name}`;
    const [only] = to;
    return [to.length === 1 ? `${path} link cn${this.#nodes[only!]!.id} 1` : `${path} link cn ${to.length}`];
  }

  async joined(host: number): Promise<bigint> {
    let before = monotonic();
    const end = before + BigInt(joinMilliseconds) * 1_000_000n;
    for (;;) {
      const now = monotonic();
      const report = await this.#nodes[host]!.status().catch(() => undefined);
      if (report?.bootstrap[0]?.state === 'connected') return before;
      if (now > end) throw new Error(`${this.#nodes[host]!.id} did not join`);
      before = now;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  /** The interfaces have link-local addresses only: gives this pair IPv4 addresses as an operator would. */
  async address(from: number, to: number): Promise<string> {
    await Promise.all([this.#assign(from, to), this.#assign(to, from)]);
    return innerAddress(to);
  }

  async #assign(host: number, peer: number): Promise<void> {
    const device = await waitFor(
      `a link from ${this.#nodes[host]!.id} to ${this.#nodes[peer]!.id}`,
      upMilliseconds,
      async () => {
        const found = await this.#nodes[host]!.peer(this.#nodes[peer]!.id);
        return found?.state === 'up' ? found.interface?.name : undefined;
      },
      (name) => name !== undefined,
    );
    await this.hosts[host]!.configure(
      `addr replace ${innerAddress(host)} peer ${innerAddress(peer)} dev ${device}`,
    );
  }
}

export const cryonet: Contender = {
  name: 'cryonet',
  async prepare(hosts, options = {}) {
    return new Cryonet(hosts, options);
  },
};

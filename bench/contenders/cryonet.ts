/** This project's own programs, with their defaults. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Namespace } from '../../netns-tests/lab/namespace.ts';
import { CryonetNode, programs } from '../../netns-tests/lab/node.ts';
import { waitFor } from '../../netns-tests/lab/wait.ts';
import type { PeerStatus } from '../../protocol/status.ts';
import { type Contender, innerAddress, monotonic, type Overlay, type OverlayOptions } from '../contender.ts';

const joinMilliseconds = 20_000;
const upMilliseconds = 20_000;
/** For the path to be the one that lasts, and its MTU to be found. */
const steadyMilliseconds = 1_500;
const noDirect = '--no-direct';
let help: string | undefined;

/** Whether this checkout has another path than datachannels. */
function knowsDirect(): boolean {
  help ??= execFileSync(join(programs, 'cryonet'), ['--help'], { encoding: 'utf8' });
  return help.includes(noDirect);
}

class Cryonet implements Overlay {
  readonly hosts: readonly Namespace[];
  readonly listening = { protocol: 'tcp', port: 2333 } as const;
  readonly #nodes: readonly CryonetNode[];
  readonly #direct: boolean;

  constructor(hosts: readonly Namespace[], { iceServers, cold, direct = true }: OverlayOptions) {
    this.hosts = hosts;
    this.#direct = direct;
    const { lab } = hosts[0]!;
    const cache = ['env', `NODE_COMPILE_CACHE=${join(lab.directory, 'compile-cache')}`];
    const options = {
      listen: true,
      options: [
        ...['--log-level', 'info'],
        ...(iceServers ? ['--ice-servers', iceServers] : []),
        ...(direct || !knowsDirect() ? [] : [noDirect]),
      ],
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
    const [node, other] = [this.#nodes[host]!, this.#nodes[peer]!];
    let seen = '';
    let since = 0;
    const { device } = await waitFor(
      `a link from ${node.id} to ${other.id} that stays as it is`,
      upMilliseconds,
      async () => {
        const found = await node.peer(other.id);
        const now = `${found?.path} ${found?.interface?.name} ${found?.interface?.mtu}`;
        if (now !== seen) since = performance.now();
        seen = now;
        return { found, device: found?.interface?.name, steady: performance.now() - since };
      },
      ({ found, steady }) => steady >= steadyMilliseconds && this.#isWhole(found),
    );
    await this.hosts[host]!.configure(
      `addr replace ${innerAddress(host)} peer ${innerAddress(peer)} dev ${device}`,
    );
  }

  #isWhole(peer: PeerStatus | undefined): boolean {
    if (peer?.state !== 'up' || peer.interface === null) return false;
    return this.#direct ? (peer.direct?.state ?? 'up') === 'up' : peer.path === 'datachannel';
  }
}

export const cryonet: Contender = {
  name: 'cryonet',
  async prepare(hosts, options = {}) {
    return new Cryonet(hosts, options);
  },
};

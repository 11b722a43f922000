/** This project's own programs, with their defaults: of this checkout, or of another one to compare with; bundled, as the
 *  packages have them. */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { onPath } from '../../netns-tests/lab/direct.ts';
import { CryonetNode } from '../../netns-tests/lab/node.ts';
import { type Contender, innerAddress, monotonic } from '../contender.ts';

const joinMilliseconds = 20_000;
const upMilliseconds = 20_000;
/** Once the path is the one that lasts, for its MTU to be found. */
const steadyMilliseconds = 2_000;

/** `folder` has the programs. */
export function cryonetOf(name: string, folder: string): Contender {
  const prepare: Contender['prepare'] = async (hosts, { options = [], policy = [], cold } = {}) => {
    const nodes: CryonetNode[] = [];
    for (const [index, host] of hosts.entries()) {
      const cache = ['env', `NODE_COMPILE_CACHE=${join(host.lab.directory, 'compile-cache')}`];
      const node = new CryonetNode(host, {
        ...{ listen: true, programs: folder, bootstrap: nodes.slice(0, 1) },
        options: ['--log-level', 'info', ...options, ...(index === 0 ? [] : policy)],
        through: cold ? cache : [],
      });
      nodes.push(node);
    }
    const path = options.includes('--no-direct') ? 'datachannel' : 'direct';
    return {
      hosts,
      listening: { protocol: 'tcp', port: 2333 },
      async start(host) {
        const before = monotonic();
        nodes[host]!.start();
        return before;
      },
      kill: (host) => nodes[host]!.killControl(),
      targets(from, to) {
        const netns = `/run/netns/${hosts[from]!.name}`;
        return [to.length === 1 ? `${netns} link cn${nodes[to[0]!]!.id} 1` : `${netns} link cn ${to.length}`];
      },
      joined: (host) => joined(nodes[host]!),
      /** The interfaces have link-local addresses only: gives this pair IPv4 addresses as an operator would. */
      async address(from, to) {
        const pair = [nodes[from]!, nodes[to]!];
        await onPath(path, pair, upMilliseconds);
        await pause(steadyMilliseconds);
        const assign = (host: number, peer: number) =>
          hosts[host]!.configure(
            `addr replace ${innerAddress(host)} peer ${innerAddress(peer)} dev cn${nodes[peer]!.id}`,
          );
        await Promise.all([assign(from, to), assign(to, from)]);
        return innerAddress(to);
      },
    };
  };
  return { name, discovers: true, prepare };
}

async function joined(node: CryonetNode): Promise<bigint> {
  let before = monotonic();
  const end = before + BigInt(joinMilliseconds) * 1_000_000n;
  for (;;) {
    const now = monotonic();
    const report = await node.status().catch(() => undefined);
    if (report?.bootstrap[0]?.state === 'connected') return before;
    if (now > end) throw new Error(`${node.id} did not join`);
    before = now;
    await pause(2);
  }
}

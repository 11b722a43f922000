/** Links on their direct path: waiting for it, and what its packets look like from outside. */
import { join } from 'node:path';
import type { PeerStatus } from '../../protocol/status.ts';
import type { Lab } from './lab.ts';
import { farEnd, linkTo, type UpPeer } from './mesh.ts';
import type { Namespace } from './namespace.ts';
import { CryonetNode } from './node.ts';
import { programs } from './programs.ts';
import { lan } from './topology.ts';
import { waitFor } from './wait.ts';

/** Matches of nftables, by the first byte of a datagram (RFC 7983 section 7). */
export const records = 'meta l4proto udp @th,64,8 >= 192';
/** STUN, DTLS and what TURN wraps. */
export const notRecords = 'meta l4proto udp @th,64,8 < 192';

/** `a`, which serves bootstrap, and `b` on one switch; not started. */
export async function directPair(
  lab: Lab,
  { family = 'ipv4', options = [] }: { family?: 'both' | 'ipv4' | 'ipv6'; options?: readonly string[] } = {},
) {
  const { hosts, wires } = await lan(lab, ['a', 'b'], family);
  const a = new CryonetNode(hosts[0]!, { listen: true, options });
  const b = new CryonetNode(hosts[1]!, { bootstrap: [a], options });
  return { a, b, wires };
}

/** The same once the link is on its direct path, with the far end of it for either (`farEnd`). */
export async function runningPair(lab: Lab, options: Parameters<typeof directPair>[1] = {}) {
  const { a, b, wires } = await directPair(lab, options);
  a.start();
  b.start();
  const link = await onPath('direct', [a, b], 30_000);
  return { a, b, wires, there: farEnd(link), back: farEnd(await onPath('direct', [b, a], 1_000)) };
}

/** Waits until the links of each node to all others go by this path. Resolves with what the first says of the second. */
export async function onPath(
  path: 'direct' | 'datachannel',
  nodes: readonly CryonetNode[],
  bound: number,
): Promise<UpPeer> {
  await waitFor(
    `${nodes.map(({ id }) => id).join(', ')} to go by ${path}`,
    bound,
    async () => {
      const reports = await Promise.all(nodes.map((node) => node.status()));
      return reports.flatMap(({ node, peers }) =>
        nodes
          .filter(({ id }) => id !== node.id)
          .map(({ id }) => peers.find((peer) => peer.id === id))
          .filter((peer) => peer?.state !== 'up' || peer.path !== path)
          .map((peer) => `${node.id}: ${shown(peer)}`),
      );
    },
    (others) => others.length === 0,
  );
  return linkTo(await nodes[0]!.status(), nodes[1]!.id);
}

/** Waits until a flow from `peer` is under way. */
export async function carried(node: CryonetNode, peer: string): Promise<void> {
  await waitFor(
    'the flow to run',
    5_000,
    async () => (await node.peer(peer))?.counters?.rxBytes ?? 0,
    (bytes) => bytes > 1_000_000,
  );
}

/** What `directPair` makes, started, once both interfaces have the MTU of that path. */
export async function fittingPair(lab: Lab): Promise<{ readonly a: CryonetNode; readonly b: CryonetNode }> {
  const { a, b } = await directPair(lab);
  a.start();
  b.start();
  await onPath('direct', [a, b], 30_000);
  for (const [node, peer] of [
    [a, 'b'],
    [b, 'a'],
  ] as const)
    await waitFor(
      'the interface to fit',
      10_000,
      async () => (await node.peer(peer))?.interface?.mtu,
      (mtu) => mtu === 1440,
    );
  return { a, b };
}

/** What was dropped of a link, by cause, but for what found no room in the kernel's queue for the interface or in a socket:
 *  on a busy machine that may happen to whoever sends fast, and is no fault of the path. */
export function dropsOfPath(peer: PeerStatus | undefined): Readonly<Record<string, number>> {
  const { queue: _queue, buffer: _buffer, ...others } = peer?.dropped ?? {};
  return others;
}

/** What `cryoc status` prints. */
export async function printedStatus({ namespace, runtimeDirectory }: CryonetNode): Promise<string> {
  const { stdout } = await namespace.$`${join(programs, 'cryoc')} --runtime-dir ${runtimeDirectory} status`;
  return stdout;
}

function shown(peer: PeerStatus | undefined): string {
  if (peer === undefined) return 'not known';
  const { id, state, reason, path, direct } = peer;
  return `${id} ${state} ${reason}, ${path}, direct ${direct?.state} ${direct?.reason}`;
}

/** Gives both ends of a link inner IPv4 addresses: 10.9.<n>.1 and .2. */
export async function addressLink(
  [left, leftDevice]: readonly [Namespace, string],
  [right, rightDevice]: readonly [Namespace, string],
  n = 0,
): Promise<readonly [string, string]> {
  const ends = [`10.9.${n}.1`, `10.9.${n}.2`] as const;
  await left.configure(`addr add ${ends[0]} peer ${ends[1]}/32 dev ${leftDevice}`);
  await right.configure(`addr add ${ends[1]} peer ${ends[0]}/32 dev ${rightDevice}`);
  return ends;
}

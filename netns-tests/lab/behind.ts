/** Nodes behind NATs, and what they meet by in public. */
import type { Lab } from './lab.ts';
import type { NatKind } from './nat.ts';
import { CryonetNode } from './node.ts';
import { Internet } from './topology.ts';
import { startTurnServer } from './turn.ts';

/** A bootstrap node and a STUN and TURN server in public, and one node behind each NAT. */
export async function behind(
  lab: Lab,
  kinds: readonly [NatKind, NatKind],
  servers: readonly ('stun' | 'turn')[],
) {
  const internet = await Internet.make(lab);
  const server = await startTurnServer(await internet.publicHost('server', 2));
  const options = ['--ice-servers', servers.map((kind) => server[kind]).join(',')];
  const boot = new CryonetNode(await internet.publicHost('boot'), { listen: true, options }).start();
  const nodes: CryonetNode[] = [];
  for (const [index, kind] of kinds.entries()) {
    const [host] = await internet.home(kind, `n${index}`);
    nodes.push(new CryonetNode(host!, { bootstrap: [boot], options }).start());
  }
  const [left, right] = nodes as [CryonetNode, CryonetNode];
  return { boot, left, right, server };
}

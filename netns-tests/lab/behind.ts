/** Nodes behind NATs, and what they meet by in public. */
import type { Lab } from './lab.ts';
import type { NatKind } from './nat.ts';
import { CryonetNode } from './node.ts';
import { Internet } from './topology.ts';
import { startTurnServer, type TurnServer } from './turn.ts';

/** A bootstrap node and a STUN and TURN server in public, and one node behind each NAT. */
export async function behind(
  lab: Lab,
  kinds: readonly [NatKind, NatKind],
  servers: readonly ('stun' | 'turn')[],
  /** What a node behind a NAT has instead of these, as `--ice-servers` takes them. */
  own: readonly ((server: TurnServer) => string)[] = [],
  /** Of coturn. */
  turnOptions?: readonly string[],
) {
  const internet = await Internet.make(lab);
  const server = await startTurnServer(await internet.publicHost('server', 2), turnOptions);
  const options = ['--ice-servers', servers.map((kind) => server[kind]).join(',')];
  const publicHost = await internet.publicHost('boot');
  // As in the Internet, what is to an address of a private network is sent, and lost on the way. Where the kernel refuses
  // it instead, coturn closes the allocation.
  await server.host.configure(`route add default via ${publicHost.address}`);
  const boot = new CryonetNode(publicHost, { listen: true, options }).start();
  const nodes: CryonetNode[] = [];
  for (const [index, kind] of kinds.entries()) {
    const [host] = await internet.home(kind, `n${index}`);
    const mine = own[index] === undefined ? options : ['--ice-servers', own[index](server)];
    nodes.push(new CryonetNode(host!, { bootstrap: [boot], options: mine }).start());
  }
  const [left, right] = nodes as [CryonetNode, CryonetNode];
  return { internet, boot, left, right, server };
}

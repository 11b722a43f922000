/** Nodes behind NATs, and what they meet by in public. */

import { Internet } from './internet.ts';
import type { Lab } from './lab.ts';
import type { NatKind } from './nat.ts';
import { CryonetNode } from './node.ts';
import { startTurnServer, type TurnServer } from './turn.ts';

type Servers = readonly ('stun' | 'turn')[];

/** A bootstrap node and a STUN and TURN server in public, and one node behind each NAT. */
export async function behind(
  lab: Lab,
  kinds: readonly [NatKind, NatKind],
  servers: Servers,
  /** What a node behind a NAT has instead of these, as `--ice-servers` takes them. */
  own: readonly ((server: TurnServer) => string)[] = [],
  /** Of coturn. */
  turnOptions?: readonly string[],
) {
  const { internet, boot, server, options } = await inPublic(lab, servers, turnOptions);
  const nodes: CryonetNode[] = [];
  for (const [index, kind] of kinds.entries()) {
    const [host] = await internet.home(kind, `n${index}`);
    const mine = own[index] === undefined ? options : ['--ice-servers', own[index](server)];
    nodes.push(new CryonetNode(host!, { bootstrap: [boot], options: mine }).start());
  }
  const [left, right] = nodes as [CryonetNode, CryonetNode];
  return { internet, boot, left, right, server };
}

/** The same with the two at homes of one kind behind the NAT of one carrier. */
export async function behindCarrier(lab: Lab, carrier: NatKind, home: NatKind, servers: Servers) {
  const { internet, boot, server, options } = await inPublic(lab, servers);
  const hosts = await internet.homesBehind(carrier, home, 'n0', 'n1');
  const nodes = hosts.map((host) => new CryonetNode(host, { bootstrap: [boot], options }).start());
  const [left, right] = nodes as [CryonetNode, CryonetNode];
  return { internet, boot, left, right, server };
}

async function inPublic(lab: Lab, servers: Servers, turnOptions?: readonly string[]) {
  const internet = await Internet.make(lab);
  const server = await startTurnServer(await internet.publicHost('server', { addresses: 2 }), turnOptions);
  const options = ['--ice-servers', servers.map((kind) => server[kind]).join(',')];
  const publicHost = await internet.publicHost('boot');
  const boot = new CryonetNode(publicHost, { listen: true, options }).start();
  return { internet, boot, server, options };
}

/**
 * The first packet between two nodes that are both up.
 *
 *   first ── known to both, linked with `early`
 *   early ── has long been there
 *   late  ── joins
 *   silent ─ takes what is sent to the STUN server and never answers
 *
 * For cryonet, which links nodes as soon as they know of each other: from the last moment when `late` was seen
 * not yet connected to `first`, to the first answer to its pings over its link to `early`. For the others, which
 * make a tunnel when there is a packet for it: from the first ping between two that both reach `first`, to its
 * first answer.
 */
import type { Contender, Overlay } from '../contender.ts';
import { figure, type Measure, ofOthers, type Readings } from '../measure.ts';
import { type Scene, secondsBetween } from '../scene.ts';

const bounds = { interval: 5, limit: 30_000 };
const stunAddress = '203.0.113.77';
const [early, late] = [1, 2];

export const firstPacket: Measure = {
  name: 'first-packet',
  about: 'the first packet between two nodes that are both up',
  figures: [
    figure('first-packet', 'first packet between two nodes, both up in the mesh', 's', 3, {
      atMost: 0.08,
      note: 'cryonet: from joining (the last moment at which the node was not yet connected to its bootstrap node) to the first answer from a node that was there already. The others make a tunnel when there is a packet for it: from the first ping to its first answer.',
    }),
    figure('first-packet-silent-stun', 'the same, with a STUN server that does not answer', 's', 3, {
      atMost: 1,
      notes: ofOthers('Asks no STUN server.'),
    }),
  ],
  async take(scene, contender): Promise<Readings> {
    const overlay = await arrange(scene, contender, []);
    const plain = await (overlay.joined ? onJoining : onDemand)(scene, overlay);
    if (!overlay.joined) return { 'first-packet': plain };
    const silent = await arrange(scene, contender, ['--ice-servers', `stun:${stunAddress}:3478`]);
    return { 'first-packet': plain, 'first-packet-silent-stun': await onJoining(scene, silent) };
  },
};

async function arrange(scene: Scene, contender: Contender, options: readonly string[]): Promise<Overlay> {
  const [silent, ...nodes] = await scene.hosts(4);
  await silent!.configure(`addr add ${stunAddress}/32 dev eth0`);
  await silent!.rules(`table ip silence {
    chain input { type filter hook input priority filter; ip daddr ${stunAddress} drop; }
  }`);
  for (const node of nodes) await node.configure(`route add ${stunAddress} via ${silent!.address}`);
  return contender.prepare(nodes, { options });
}

async function onJoining({ pinger }: Scene, overlay: Overlay): Promise<number> {
  await overlay.start(0);
  await overlay.start(early);
  await (await pinger.reach(overlay.targets(early, [0]), bounds)).all;
  const { all } = await pinger.reach(overlay.targets(late, [early]), bounds);
  await overlay.start(late);
  const [joined, answered] = await Promise.all([overlay.joined!(late), all]);
  return secondsBetween(joined, answered);
}

async function onDemand({ pinger }: Scene, overlay: Overlay): Promise<number> {
  for (const host of overlay.hosts.keys()) await overlay.start(host);
  const toFirst = [...overlay.targets(early, [0]), ...overlay.targets(late, [0])];
  await (await pinger.reach(toFirst, bounds)).all;
  const { started, all } = await pinger.reach(overlay.targets(late, [early]), bounds);
  return secondsBetween(started, await all);
}

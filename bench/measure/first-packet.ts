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
import { Lab } from '../../netns-tests/lab/lab.ts';
import type { Namespace } from '../../netns-tests/lab/namespace.ts';
import { lan } from '../../netns-tests/lab/topology.ts';
import type { Contender, Overlay, OverlayOptions } from '../contender.ts';
import { type Measurement, milliseconds, type Readings, type Scene, subjects } from '../measurement.ts';
import type { Pinger } from '../pinger.ts';

const bounds = { interval: 5, limit: 30_000 };
const stunAddress = '203.0.113.77';

export function firstPacket(contenders: readonly Contender[]): Measurement {
  return {
    name: 'first-packet',
    limit: 180_000,
    subjects: subjects(contenders, async (contender, { lab, pinger }: Scene): Promise<Readings> => {
      const overlay = await arrange(lab, contender, {});
      if (!overlay.joined) return { 'first-packet': await onDemand(overlay, pinger) };
      const plain = await onJoining(overlay, pinger);
      lab.close();
      await using other = new Lab();
      const silent = await arrange(other, contender, { iceServers: `stun:${stunAddress}:3478` });
      return { 'first-packet': plain, 'first-packet-silent-stun': await onJoining(silent, pinger) };
    }),
  };
}

async function arrange(lab: Lab, contender: Contender, options: OverlayOptions): Promise<Overlay> {
  const { hosts } = await lan(lab, ['first', 'early', 'late', 'silent']);
  const silent = hosts.at(-1) as Namespace;
  const nodes = hosts.slice(0, -1);
  await silent.configure(`addr add ${stunAddress}/32 dev eth0`);
  await silent.rules(`table ip silence {
    chain input { type filter hook input priority filter; ip daddr ${stunAddress} drop; }
  }`);
  for (const node of nodes) await node.configure(`route add ${stunAddress} via ${silent.address}`);
  return contender.prepare(nodes, options);
}

/** Seconds. */
async function onJoining(overlay: Overlay, pinger: Pinger): Promise<number> {
  await overlay.start(0);
  await overlay.start(1);
  await (await pinger.reach(overlay.targets(1, [0]), bounds)).all;
  const { all } = await pinger.reach(overlay.targets(2, [1]), bounds);
  await overlay.start(2);
  const [joined, answered] = await Promise.all([overlay.joined!(2), all]);
  return milliseconds(joined, answered) / 1000;
}

/** Seconds. */
async function onDemand(overlay: Overlay, pinger: Pinger): Promise<number> {
  for (const host of overlay.hosts.keys()) await overlay.start(host);
  const toFirst = [...overlay.targets(1, [0]), ...overlay.targets(2, [0])];
  await (await pinger.reach(toFirst, bounds)).all;
  const { started, all } = await pinger.reach(overlay.targets(2, [1]), bounds);
  return milliseconds(started, await all) / 1000;
}

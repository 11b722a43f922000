/** OSPF forms an adjacency only where both interfaces of a link have one MTU, and begins anew where it changes. */
import assert from 'node:assert/strict';
import { addressLink, onPath } from './lab/direct.ts';
import { MtuChanges } from './lab/mtu-changes.ts';
import { CryonetNode } from './lab/node.ts';
import { bird, frr } from './lab/ospf.ts';
import { Routers } from './lab/routers.ts';
import { story } from './lab/story.ts';
import { timed, waitFor } from './lab/wait.ts';

/*
 *            1500 →
 *   a ── r1 ═══════ r2 ── b      ICMP is dropped
 *           ═══════
 *            ← 1400
 */
for (const [name, daemon, tool] of [
  ['BIRD', bird, 'bird'],
  ['FRR', frr, 'vtysh'],
] as const) {
  story(
    `${name} forms its adjacencies over a path of 1500 bytes one way and 1400 the other, and they last`,
    ['nft', tool],
    async (lab) => {
      const routers = await Routers.make(lab, ['a', 'b'], 1500);
      await routers.setMtuBack(1400);
      const [hostOfA, hostOfB] = routers.hosts;
      const changes = [MtuChanges.watch(hostOfA, 'cnb'), MtuChanges.watch(hostOfB, 'cna')];
      const a = new CryonetNode(hostOfA, { listen: true }).start();
      const b = new CryonetNode(hostOfB, { bootstrap: [a] }).start();
      await onPath('direct', [a, b], 30_000);
      await addressLink([hostOfA, 'cnb'], [hostOfB, 'cna']);
      const daemons = [await daemon(hostOfA, 'cnb', 0), await daemon(hostOfB, 'cna', 1)];
      const states = async () => (await Promise.all(daemons.map((each) => each.states()))).flat();
      const isFull = (seen: readonly string[]) => seen.every((state) => /^full/i.test(state));
      const { milliseconds } = await timed(() => waitFor('all adjacencies', 30_000, states, isFull));

      const mtus = [(await a.peer('b'))?.interface?.mtu, (await b.peer('a'))?.interface?.mtu];
      assert.deepEqual(mtus, [1340, 1340]);
      const since = changes.map(({ seen }) => seen);
      lab.figures.push(
        `full after ${milliseconds} ms, MTUs ${since.map((each) => each.join(' → ')).join(', ')}`,
      );
      for (const seen of since) assert.deepEqual(seen, [1280, 1340], lab.figures.at(-1));

      // A control that dies takes nothing along.
      await b.killControl();
      b.start();
      await onPath('direct', [a, b], 30_000);
      assert.ok(isFull(await states()));
      assert.deepEqual(
        changes.map(({ seen }) => seen),
        since,
      );
    },
  );
}

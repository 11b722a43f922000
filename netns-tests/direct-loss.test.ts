/** Networks that lose, reorder and double packets. */
import assert from 'node:assert/strict';
import { addressLink, directPair, dropsOfPath, onPath } from './lab/direct.ts';
import { Flow } from './lab/flow.ts';
import { hosts } from './lab/hop.ts';
import type { Lab } from './lab/lab.ts';
import { CryonetNode } from './lab/node.ts';
import { story } from './lab/story.ts';

/** A flow both ways, one after the other, and what the ends say of it. */
async function tryFlows(lab: Lab, [a, b]: readonly [CryonetNode, CryonetNode], rate: string) {
  const [addressOfA, addressOfB] = await addressLink([a.namespace, 'cnb'], [b.namespace, 'cna']);
  const there = await Flow.start(a.namespace, addressOfA, b.namespace, { seconds: 3, rate });
  const back = await Flow.start(b.namespace, addressOfB, a.namespace, { seconds: 3, rate, port: 5202 });
  const flows = [await there.end(), await back.end()];
  const ends = [(await a.peer('b'))!, (await b.peer('a'))!];
  const megabits = flows.map(({ bytes }) => Math.round((bytes * 8) / 3e6));
  const dropped = ends.map(dropsOfPath);
  lab.figures.push(
    `${megabits} Mbit/s, ${flows.map(({ retransmits }) => retransmits)} sent again, dropped ${JSON.stringify(dropped)}`,
  );
  return { flows, megabits, dropped, ends };
}

/*
 *   a  bootstrap ──┐ switch that loses frames at random, each way
 *   b → a ─────────┘
 */
for (const [share, least] of [
  [0.01, 10],
  [0.05, 2],
] as const) {
  story(`flows run where ${share * 100} % of all packets are lost`, ['iperf3', 'nft'], async (lab) => {
    const { a, b, wires } = await directPair(lab);
    for (const { namespace } of [a, b]) await namespace.configure('link set eth0 gso_max_segs 1');
    a.start();
    b.start();
    await onPath('direct', [a, b], 30_000);
    await wires.lose(share);
    const { megabits, dropped, flows, ends } = await tryFlows(lab, [a, b], '0');
    for (const each of megabits) assert.ok(each >= least, lab.figures.at(-1));
    for (const { retransmits } of flows) assert.ok(retransmits > 0, 'packets were lost');
    assert.deepEqual(dropped, [{}, {}]);
    for (const { path, loss } of ends) {
      assert.equal(path, 'direct');
      assert.ok(loss! < 0.5);
    }
  });
}

/*
 *   a  bootstrap ── wire on which every tenth packet is a millisecond late ── b → a
 */
story(
  'flows run over a network that reorders, and nothing is taken for a replay',
  ['cc', 'iperf3'],
  async (lab) => {
    const [hostOfA, hostOfB] = await hosts(lab, ['a', 'b'], { held: 100, pause: 1000 });
    const a = new CryonetNode(hostOfA, { listen: true }).start();
    const b = new CryonetNode(hostOfB, { bootstrap: [a] }).start();
    await onPath('direct', [a, b], 30_000);
    const { megabits, dropped } = await tryFlows(lab, [a, b], '100M');
    for (const each of megabits) assert.ok(each >= 10, lab.figures.at(-1));
    assert.deepEqual(dropped, [{}, {}]);
  },
);

/*
 *   a  bootstrap ── wire on which every twentieth packet comes twice ── b → a
 */
story('what comes twice is delivered once and counted', ['cc', 'iperf3'], async (lab) => {
  const [hostOfA, hostOfB] = await hosts(lab, ['a', 'b'], { doubled: 50 });
  const a = new CryonetNode(hostOfA, { listen: true }).start();
  const b = new CryonetNode(hostOfB, { bootstrap: [a] }).start();
  await onPath('direct', [a, b], 30_000);
  const { megabits, dropped, ends } = await tryFlows(lab, [a, b], '100M');
  for (const each of megabits) assert.ok(each >= 10, lab.figures.at(-1));
  for (const [n, counts] of dropped.entries()) {
    assert.deepEqual(Object.keys(counts), ['replayed']);
    const share = counts.replayed! / ends[n]!.counters!.rxPackets;
    assert.ok(share > 0.03 && share < 0.07, `${share} of the packets came twice`);
  }
});

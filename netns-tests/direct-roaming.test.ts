/** A node whose address changes. */
import assert from 'node:assert/strict';
import { addressLink, carried, directPair, onPath } from './lab/direct.ts';
import { Flow } from './lab/flow.ts';
import { farEnd } from './lab/mesh.ts';
import { story } from './lab/story.ts';
import { Train } from './lab/train.ts';
import { assertSoon, waitFor } from './lab/wait.ts';

/*
 *   a  bootstrap ────────────┐ switch
 *   b → a  .2, then .102 ────┘
 */
story('a node that changes address keeps its link and its flows', ['iperf3', 'ping'], async (lab) => {
  const { a, b } = await directPair(lab);
  a.start();
  b.start();
  const there = await onPath('direct', [a, b], 30_000);
  const back = await onPath('direct', [b, a], 1_000);
  const [addressOfA] = await addressLink(
    [a.namespace, there.interface.name],
    [b.namespace, back.interface.name],
  );
  const trains = [Train.start(a.namespace, farEnd(there)), Train.start(b.namespace, farEnd(back))];
  for (const train of trains) await train.arrives();
  // To b, so that it has something to answer only once it is found again.
  const flow = await Flow.start(a.namespace, addressOfA, b.namespace, { seconds: 6, rate: '50M' });
  await carried(b, 'a');

  // Else the second address would go with the first.
  await b.namespace.$`sysctl -qw net.ipv4.conf.all.promote_secondaries=1`;
  await b.namespace.configure('addr add 198.51.100.102/24 dev eth0', 'addr del 198.51.100.2/24 dev eth0');
  const { bytes, gap, retransmits } = await flow.end();
  const journeys = [await trains[0]!.stop(), await trains[1]!.stop()];
  const gaps = journeys.map((journey) => journey.gap);
  lab.figures.push(`gaps of ${gaps} ms; the flow's ${gap} ms, ${retransmits} sent again, ${bytes} bytes`);
  for (const each of gaps) assertSoon(each, 1_000, lab);
  assertSoon(gap, 1_500, lab);
  assert.ok(bytes > 20_000_000, lab.figures.at(-1));
  const moved = await waitFor(
    'a to see b at its new address',
    5_000,
    () => a.peer('b'),
    (peer) => peer?.path === 'direct' && peer.pair?.remote.address === '198.51.100.102',
  );
  assert.equal(moved?.interface?.index, there.interface.index);
});

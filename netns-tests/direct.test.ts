/** How a link comes to its direct path, and what keeps it from there. */
import assert from 'node:assert/strict';
import { linkLocal } from '../dataplane/io/link-local.ts';
import { directPair, onPath, printedStatus } from './lab/direct.ts';
import { story } from './lab/story.ts';
import { Train } from './lab/train.ts';
import { waitFor } from './lab/wait.ts';

/*
 *   a  bootstrap ──┐ switch, of one family alone
 *   b → a ─────────┘
 */
for (const [family, mtu] of [
  ['ipv4', 1440],
  ['ipv6', 1420],
] as const) {
  story(`a link over ${family} moves to its direct path and loses no packet`, ['ping'], async (lab) => {
    const { a, b } = await directPair(lab, { family });
    const train = Train.start(a.namespace, `${linkLocal('b', 'a')}%cnb`, { afterCarrier: 'cnb' });
    a.start();
    b.start();
    await onPath('direct', [a, b], 30_000);
    const ends = await waitFor(
      'both interfaces to fit the path',
      5_000,
      async () => [await a.peer('b'), await b.peer('a')],
      (seen) => seen.every((end) => end?.interface?.mtu === mtu),
    );
    const journey = await train.stop();
    assert.deepEqual(journey.lost, []);
    for (const end of ends) {
      assert.equal(end?.pathMtu, 1500);
      assert.deepEqual(end.direct, { state: 'up', reason: '' });
      assert.deepEqual(end.dropped, {});
    }
    assert.match(await printedStatus(a), /\bb\b.*\bdirect\b/);
    lab.figures.push(`${journey.sent} pings, the first answered is number ${journey.first}`);
  });
}

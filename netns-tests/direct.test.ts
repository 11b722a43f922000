/** How a link comes to its direct path, and what keeps it from there. */
import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { linkLocal } from '../dataplane/io/link-local.ts';
import { directPair, dropsOfPath, onPath, printedStatus } from './lab/direct.ts';
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
      assert.deepEqual(dropsOfPath(end), {});
    }
    assert.match(await printedStatus(a), /\bb\b.*\bdirect\b/);
    lab.figures.push(`${journey.sent} pings, the first answered is number ${journey.first}`);
  });
}

/*
 *   a  bootstrap ──┐ switch, of both families
 *   b → a ─────────┘
 */
story('both ends of a pair are those of one path, on hosts of both families', [], async (lab) => {
  const { a, b } = await directPair(lab, { family: 'both' });
  a.start();
  b.start();
  await onPath('direct', [a, b], 30_000);
  await onPath('direct', [b, a], 1_000);
  const pairs = async () =>
    Promise.all(
      [[a, b] as const, [b, a] as const].map(async ([node, peer]) => ({
        pair: (await node.peer(peer.id))?.pair,
        from: node,
        to: peer,
      })),
    );
  const isOnePath = ({ pair, from, to }: Awaited<ReturnType<typeof pairs>>[number]) =>
    pair != null &&
    isIP(pair.local.address) === isIP(pair.remote.address) &&
    from.namespace.addresses.includes(pair.local.address) &&
    to.namespace.addresses.includes(pair.remote.address);
  const seen = await pairs();
  assert.ok(seen.every(isOnePath), JSON.stringify(seen.map(({ pair }) => pair)));
  lab.figures.push(seen.map(({ pair }) => `${pair!.local.address} ${pair!.remote.address}`).join(', '));
});

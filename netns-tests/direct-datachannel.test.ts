/** The datachannel beneath a direct path: gone, and there again. */
import assert from 'node:assert/strict';
import { notRecords, onPath, records, runningPair } from './lab/direct.ts';
import { story } from './lab/story.ts';
import { Train } from './lab/train.ts';
import { timed, waitFor } from './lab/wait.ts';

/*
 *   a  bootstrap ──┐ switch
 *   b → a ─────────┘       all but records is dropped until ICE gives up, and passes again
 */
story(
  'a datachannel dies and another is negotiated beneath a direct path that loses nothing',
  ['nft', 'ping'],
  async (lab) => {
    const { a, b, wires, there, back } = await runningPair(lab);
    const trains = [Train.start(a.namespace, there), Train.start(b.namespace, back)];
    await wires.drop(notRecords);
    const { milliseconds: gaveUp } = await timed(() =>
      waitFor(
        'an end to give up its connection',
        45_000,
        async () => {
          const reports = [await a.status(), await b.status()];
          for (const { peers } of reports) {
            const [peer] = peers;
            assert.deepEqual([peer?.state, peer?.path, peer?.interface?.carrier], ['up', 'direct', true]);
          }
          return reports.flatMap(({ neighbors }) => neighbors.map(({ via }) => via));
        },
        (vias) => vias.some((via) => !via.includes('link')),
      ),
    );
    await wires.heal();
    const { milliseconds: another } = await timed(() =>
      waitFor(
        'signaling over the link',
        30_000,
        async () => [...(await a.status()).neighbors, ...(await b.status()).neighbors],
        (neighbors) => neighbors.length === 2 && neighbors.every(({ via }) => via.includes('link')),
      ),
    );
    const journeys = [await trains[0]!.stop(), await trains[1]!.stop()];
    lab.figures.push(
      `given up after ${gaveUp} ms, another after ${another} ms, ${journeys.map(({ sent }) => sent)} pings`,
    );
    for (const { lost, sent } of journeys) {
      assert.deepEqual(lost, []);
      assert.ok(sent > 1_000);
    }

    // An idle path is asked each 25 s only.
    const train = Train.start(a.namespace, there);
    await wires.drop(records);
    await onPath('datachannel', [a, b], 30_000);
    await train.arrives();
  },
);

/** The keys of a direct path, which serve for two minutes. */
import assert from 'node:assert/strict';
import { addressLink, dropsOfPath, runningPair } from './lab/direct.ts';
import { Flow } from './lab/flow.ts';
import { story } from './lab/story.ts';
import { Train } from './lab/train.ts';
import { waitFor } from './lab/wait.ts';

const seconds = 130;

/*
 *   a  bootstrap ──┐ switch
 *   b → a ─────────┘
 */
story(
  'keys are renewed under way and nothing is lost',
  ['iperf3', 'ping'],
  async (lab) => {
    const { a, b, there, back } = await runningPair(lab, { options: ['--log-level', 'debug'] });
    const [addressOfA] = await addressLink([a.namespace, 'cnb'], [b.namespace, 'cna']);
    // Faster ones keep a processor busy for two minutes.
    const options = { interval: 0.05 };
    const trains = [
      Train.start(a.namespace, there, options),
      Train.start(b.namespace, back, options),
    ] as const;
    for (const train of trains) await train.arrives();
    const flow = await Flow.start(a.namespace, addressOfA, b.namespace, { seconds, rate: '20M' });
    const paths = new Set<string | null | undefined>();
    await waitFor(
      'the flow to end',
      (seconds + 10) * 1000,
      async () => {
        for (const peer of [await a.peer('b'), await b.peer('a')]) paths.add(peer?.path);
        return flow.running;
      },
      (running) => !running,
      1_000,
    );
    const { bytes, gap, retransmits } = await flow.end();
    const journeys = [await trains[0].stop(), await trains[1].stop()];
    const sent = journeys.map((journey) => journey.sent);
    const gaps = journeys.map((journey) => journey.gap);
    lab.figures.push(
      `${sent} pings, gaps of ${gaps} ms; the flow's ${gap} ms, ${retransmits} sent again, ${bytes} bytes`,
    );

    for (const [node, peer] of [
      [a, 'b'],
      [b, 'a'],
    ] as const) {
      const generations = [...node.program.output.matchAll(/keys of a link peer=(\S+) generation=(\d+)/g)];
      assert.deepEqual(
        generations.map(([, of, generation]) => [of, generation]),
        [
          [peer, '0'],
          [peer, '1'],
        ],
      );
      assert.deepEqual(dropsOfPath(await node.peer(peer)), {});
    }
    assert.deepEqual([...paths], ['direct']);
    for (const { lost } of journeys) assert.deepEqual(lost, []);
    for (const each of sent) assert.ok(each > seconds * 10, lab.figures.at(-1));
    assert.ok(bytes > (20e6 / 8) * seconds * 0.9, lab.figures.at(-1));
  },
  (seconds + 60) * 1000,
);

/** What becomes of a link when its direct path, its datachannel or both are interrupted. */
import assert from 'node:assert/strict';
import { onPath, records, runningPair } from './lab/direct.ts';
import { interfaces } from './lab/mesh.ts';
import { story } from './lab/story.ts';
import { Train } from './lab/train.ts';
import { assertSoon, timed, waitFor } from './lab/wait.ts';

/*
 *   a  bootstrap ──┐ switch
 *   b → a ─────────┘       records are dropped, and pass again
 */
story(
  'a dead direct path leaves the packets to the datachannel, and takes them back',
  ['nft', 'ping'],
  async (lab) => {
    const { a, b, wires, there, back } = await runningPair(lab);
    const trains = [Train.start(a.namespace, there), Train.start(b.namespace, back)];
    for (const train of trains) await train.arrives();
    const before = [interfaces(await a.status()), interfaces(await b.status())];

    await wires.drop(records);
    const { milliseconds: toChannel } = await timed(() => onPath('datachannel', [a, b], 30_000));
    const peer = await a.peer('b');
    assert.deepEqual(peer?.direct, { state: 'trying', reason: 'the peer does not answer probes' });
    assert.equal(peer.interface?.carrier, true);
    for (const train of trains) await train.arrives();
    await wires.heal();
    const { milliseconds: toDirect } = await timed(() => onPath('direct', [a, b], 30_000));

    const journeys = [await trains[0]!.stop(), await trains[1]!.stop()];
    assert.deepEqual([interfaces(await a.status()), interfaces(await b.status())], before);
    const gaps = journeys.map(({ gap }) => gap);
    const lost = journeys.map((journey) => journey.lost.length);
    lab.figures.push(
      `to the datachannel in ${toChannel} ms, back in ${toDirect} ms, gaps of ${gaps} ms, ${lost} lost`,
    );
    for (const { lost, gap } of journeys) {
      assertSoon(gap, 3_500, lab);
      const [first, last] = [lost[0]!, lost.at(-1)!];
      assert.equal(lost.length, last - first + 1, 'nothing is lost but in one interruption');
    }
  },
);

/*
 *   a  bootstrap ──╳── switch
 *   b → a ─────────╳
 */
story(
  'both ends of a dead link lose carrier within three seconds of traffic',
  ['nft', 'ping'],
  async (lab) => {
    const { a, b, wires, there } = await runningPair(lab);
    const train = Train.start(a.namespace, there);
    await train.arrives();
    await wires.partition([a.namespace], [b.namespace]);
    const start = performance.now();
    const times = await Promise.all(
      [a, b].map(async (node, end) => {
        await waitFor(
          `${node.id} to lose carrier`,
          15_000,
          async () => await node.namespace.$`cat /sys/class/net/${['cnb', 'cna'][end]!}/carrier`,
          ({ stdout }) => stdout.trim() === '0',
        );
        return Math.round(performance.now() - start);
      }),
    );
    lab.figures.push(`carrier off after ${times.join(' and ')} ms`);
    for (const time of times) assertSoon(time, 3_500, lab);

    await wires.heal();
    const { milliseconds } = await timed(() => onPath('direct', [a, b], 30_000));
    lab.figures.push(`direct again after ${milliseconds} ms`);
  },
);

/*
 *   a  bootstrap ──┐ switch
 *   b → a ─────────┘       records from a are dropped, those from b pass
 */
story(
  'both ends leave a direct path that is dead one way, and do not return to it',
  ['nft', 'ping'],
  async (lab) => {
    const { a, b, wires, there, back } = await runningPair(lab);
    const trains = [Train.start(a.namespace, there), Train.start(b.namespace, back)];
    for (const train of trains) await train.arrives();
    await wires.drop(`ip saddr ${a.namespace.address} ${records}`);
    const { milliseconds } = await timed(() => onPath('datachannel', [a, b], 30_000));
    for (const train of trains) await train.arrives();
    const start = Date.now();
    const paths = new Set<string | null | undefined>();
    await waitFor(
      'five seconds of looks',
      10_000,
      async () => {
        for (const peer of [await a.peer('b'), await b.peer('a')]) paths.add(peer?.path);
        return Date.now() - start;
      },
      (elapsed) => elapsed > 5_000,
    );
    assert.deepEqual([...paths], ['datachannel']);
    await wires.heal();
    await onPath('direct', [a, b], 30_000);
    const journeys = [await trains[0]!.stop(), await trains[1]!.stop()];
    lab.figures.push(`left after ${milliseconds} ms, gaps of ${journeys.map(({ gap }) => gap)} ms`);
    // The end that still hears packets is told of it by the other one.
    for (const { gap } of journeys) assertSoon(gap, 3_500, lab);
  },
);

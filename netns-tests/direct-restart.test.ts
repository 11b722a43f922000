/** Programs that end under a direct path. */
import assert from 'node:assert/strict';
import { onPath, runningPair } from './lab/direct.ts';
import { story } from './lab/story.ts';
import { Train } from './lab/train.ts';
import { assertSoon, timed, waitFor } from './lab/wait.ts';

/*
 *   a  bootstrap ──┐ switch
 *   b → a ─────────┘       killed, and started again
 */
story('a node that was killed is on its direct path soon after it starts again', ['ping'], async (lab) => {
  const { a, b, there } = await runningPair(lab);
  const train = Train.start(a.namespace, there);
  await train.arrives();
  await b.kill();
  await b.start().ready();
  const { milliseconds } = await timed(() => train.arrives(20_000));
  const { milliseconds: direct } = await timed(() => onPath('direct', [a, b], 20_000));
  lab.figures.push(`answers again after ${milliseconds} ms, direct ${direct} ms later`);
  assertSoon(milliseconds, 8_000, lab);
});

/*
 *   a  bootstrap ──┐ switch
 *   b → a ─────────┘       control alone is killed at both ends, and started again
 */
story(
  'both controls are killed and started again, and the direct path loses nothing',
  ['ping'],
  async (lab) => {
    const { a, b, there } = await runningPair(lab);
    const train = Train.start(a.namespace, there);
    await train.arrives();
    const pids = [(await a.status()).dataplane.pid, (await b.status()).dataplane.pid];
    await Promise.all([a.killControl(), b.killControl()]);
    const start = Date.now();
    await waitFor(
      'two seconds without control',
      5_000,
      () => Date.now() - start,
      (elapsed) => elapsed > 2_000,
    );
    a.start();
    b.start();
    await onPath('direct', [a, b], 30_000);
    const { lost, sent } = await train.stop();
    assert.deepEqual(lost, []);
    assert.ok(sent > 100);
    assert.deepEqual([(await a.status()).dataplane.pid, (await b.status()).dataplane.pid], pids);
  },
);

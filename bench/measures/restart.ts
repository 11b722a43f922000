/** Packets lost while the process that may be restarted is killed and started again under load. */
import { setTimeout as pause } from 'node:timers/promises';
import { figure, type Measure, ofOthers } from '../measure.ts';

/** Pings, one every `interval` microseconds; milliseconds that late answers have. */
const pings = { count: 6_000, interval: 1_000, grace: 1_000 };
/** Milliseconds from the first ping. */
const killAfter = 1_500;

export const restart: Measure = {
  name: 'restart',
  about: 'packets lost when control is killed and started again',
  figures: [
    figure('restart', 'pings lost of 6000 (1000/s) when control is killed and started again', '', 0, {
      atMost: 0,
      notes: ofOthers(
        'There is no part that could be restarted alone: the whole program is killed and started again.',
      ),
    }),
  ],
  async take(scene, contender) {
    const { overlay } = await scene.formed(contender, await scene.hosts(2));
    const [target] = overlay.targets(0, [1]);
    const { result } = await scene.pinger.stream(target!, pings);
    await pause(killAfter);
    await overlay.kill(1);
    await overlay.start(1);
    const { sent, received } = await result;
    await overlay.joined?.(1); // It did come back: else nothing was measured.
    return { restart: sent - received };
  },
};

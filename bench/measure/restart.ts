/** Packets lost while the process that may be restarted is killed and started again under load. */
import { setTimeout as pause } from 'node:timers/promises';
import { lan } from '../../netns-tests/lab/topology.ts';
import type { Contender } from '../contender.ts';
import { form, type Measurement, subjects } from '../measurement.ts';

/** Pings, each with its answer: one per millisecond. */
const count = 6_000;
const interval = 1_000;
const killAfterMilliseconds = 1_500;
const graceMilliseconds = 1_000;

export function restart(contenders: readonly Contender[]): Measurement {
  return {
    name: 'restart',
    limit: 90_000,
    subjects: subjects(contenders, async (contender, { lab, pinger }) => {
      const { hosts } = await lan(lab, ['n1', 'n2']);
      const overlay = await contender.prepare(hosts);
      await form(overlay, pinger, { interval: 50, limit: 30_000 });
      const [target] = overlay.targets(0, [1]);
      const { result } = await pinger.stream(target!, { interval, count, grace: graceMilliseconds });
      await pause(killAfterMilliseconds);
      await overlay.kill(1);
      await overlay.start(1);
      const { sent, received } = await result;
      await overlay.joined?.(1); // It did come back: else nothing was measured.
      return { restart: sent - received };
    }),
  };
}

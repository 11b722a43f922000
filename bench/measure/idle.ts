/** What a node with nine peers costs while nothing happens: the mean of the ten nodes of one mesh. */
import { setTimeout as pause } from 'node:timers/promises';
import { lan } from '../../netns-tests/lab/topology.ts';
import type { Contender } from '../contender.ts';
import { form, type Measurement, subjects } from '../measurement.ts';
import { cpuSeconds, proportionalMegabytes, residentMegabytes } from '../processes.ts';

const size = 10;
const settleMilliseconds = 15_000;
const windowMilliseconds = 30_000;

export function idle(contenders: readonly Contender[]): Measurement {
  return {
    name: 'idle',
    limit: 240_000,
    subjects: subjects(contenders, async (contender, { lab, pinger, quick }) => {
      const labels = Array.from({ length: size }, (_, index) => `n${index + 1}`);
      const { hosts } = await lan(lab, labels);
      await form(await contender.prepare(hosts), pinger, { interval: 100, limit: 90_000 });
      await pause(quick ? 8_000 : settleMilliseconds);
      const processes = await Promise.all(hosts.map((host) => host.processes()));
      const before = processes.map(cpuSeconds);
      const start = performance.now();
      await pause(quick ? 10_000 : windowMilliseconds);
      const after = processes.map(cpuSeconds);
      const seconds = (performance.now() - start) / 1000;
      const cpu = after.map((used, host) => ((used - before[host]!) / seconds) * 100);
      return {
        'idle-cpu': mean(cpu),
        'idle-rss': mean(processes.map(residentMegabytes)),
        'idle-pss': mean(processes.map(proportionalMegabytes)),
      };
    }),
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

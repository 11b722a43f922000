/** What a node with nine peers costs while nothing happens: the mean of the ten nodes of one mesh. */
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { Namespace } from '../../netns-tests/lab/namespace.ts';
import { shell } from '../../netns-tests/lab/shell.ts';
import { lan } from '../../netns-tests/lab/topology.ts';
import type { Contender } from '../contender.ts';
import { form, type Measurement, subjects } from '../measurement.ts';

const size = 10;
const settleMilliseconds = 15_000;
const windowMilliseconds = 30_000;
/** USER_HZ: what /proc/PID/stat counts in, on every architecture (proc(5)). */
const ticksPerSecond = 100;

export function idle(contenders: readonly Contender[]): Measurement {
  return {
    name: 'idle',
    limit: 240_000,
    subjects: subjects(contenders, async (contender, { lab, pinger, quick }) => {
      const labels = Array.from({ length: size }, (_, index) => `n${index + 1}`);
      const { hosts } = await lan(lab, labels);
      await form(await contender.prepare(hosts), pinger, { interval: 100, limit: 90_000 });
      await pause(quick ? 8_000 : settleMilliseconds);
      const processes = await Promise.all(hosts.map(processesIn));
      const before = processes.map(cpuTicks);
      const start = performance.now();
      await pause(quick ? 10_000 : windowMilliseconds);
      const after = processes.map(cpuTicks);
      const seconds = (performance.now() - start) / 1000;
      const cpu = after.map((ticks, host) => ((ticks - before[host]!) / ticksPerSecond / seconds) * 100);
      return {
        'idle-cpu': mean(cpu),
        'idle-rss': mean(processes.map((pids) => megabytes(pids, 'status', 'VmRSS'))),
        'idle-pss': mean(processes.map((pids) => megabytes(pids, 'smaps_rollup', 'Pss'))),
      };
    }),
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Everything that runs in the namespace belongs to the overlay. */
async function processesIn({ name }: Namespace): Promise<number[]> {
  const { stdout } = await shell`ip netns pids ${name}`;
  return stdout.split('\n').filter(Boolean).map(Number);
}

/** utime and stime of all threads. Throws where one of the processes has ended. */
function cpuTicks(pids: readonly number[]): number {
  return pids
    .map((pid) => {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // The second field is the name, in parentheses, and may hold anything.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return Number(fields[11]) + Number(fields[12]);
    })
    .reduce((sum, ticks) => sum + ticks, 0);
}

function megabytes(pids: readonly number[], file: string, field: string): number {
  const kibibytes = pids.map((pid) => {
    const text = readFileSync(`/proc/${pid}/${file}`, 'utf8');
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? Number.NaN);
  });
  return (kibibytes.reduce((sum, value) => sum + value, 0) * 1024) / 1e6;
}

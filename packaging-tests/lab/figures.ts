/** What the services cost: time to start, memory. */
import { waitFor } from '../../netns-tests/lab/wait.ts';
import type { Machine } from './machine.ts';
import { control, dataplane } from './pair.ts';

/** Milliseconds, medians: control alone with the dataplane running, and both from a stop. */
export async function startTimes(
  machine: Machine,
  rounds: number,
): Promise<{ control: number; both: number }> {
  const alone: number[] = [];
  const both: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await machine.$`systemctl restart ${control}`;
    const times = await stamps(machine, control);
    alone.push(times.ready - times.start);
    await machine.$`systemctl stop ${control} && systemctl start ${control}`;
    const [one, other] = [await stamps(machine, control), await stamps(machine, dataplane)];
    both.push(Math.max(one.ready, other.ready) - Math.min(one.start, other.start));
  }
  return { control: median(alone), both: median(both) };
}

/** Megabytes of both daemons, pages that they share counted once. Waits until it does not grow any more. */
export async function idleMemory(machine: Machine): Promise<number> {
  const pids = [await machine.mainPid(control), await machine.mainPid(dataplane)];
  let last = 0;
  const bytes = await waitFor(
    'the memory to stay as it is',
    20_000,
    async () => {
      const { stdout } = await machine.$`cat ${pids.map((pid) => `/proc/${pid}/smaps_rollup`)}`;
      const sizes = [...stdout.matchAll(/^Pss:\s+(\d+) kB$/gm)].map(([, size]) => Number(size) * 1024);
      if (sizes.length !== pids.length) throw new Error(`${sizes.length} processes`);
      const before = last;
      last = sizes.reduce((sum, size) => sum + size);
      return { before, now: last };
    },
    ({ before, now }) => Math.abs(now - before) < 0.01 * now,
  );
  return Math.round(bytes.now / 1e6);
}

/** Milliseconds of the machine's clock. */
async function stamps(machine: Machine, unit: string): Promise<{ start: number; ready: number }> {
  const { InactiveExitTimestampMonotonic, ActiveEnterTimestampMonotonic } = await machine.show(
    unit,
    'InactiveExitTimestampMonotonic',
    'ActiveEnterTimestampMonotonic',
  );
  return {
    start: Number(InactiveExitTimestampMonotonic) / 1000,
    ready: Number(ActiveEnterTimestampMonotonic) / 1000,
  };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return Math.round(sorted[Math.floor(sorted.length / 2)]!);
}

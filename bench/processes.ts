/** What processes have used of the machine, from /proc (proc(5)). Everything here throws where one has ended. */
import { readFileSync } from 'node:fs';

/** USER_HZ: what /proc/PID/stat counts in, on every architecture. */
const ticksPerSecond = 100;

/** User and system time of all their threads. */
export function cpuSeconds(pids: readonly number[]): number {
  const ticks = pids.map((pid) => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the name, in parentheses, and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(fields[11]) + Number(fields[12]);
  });
  return sum(ticks) / ticksPerSecond;
}

/** Whether it is a node's dataplane: it names itself so (comm, proc(5), has 15 bytes of that). */
export function isDataplane(pid: number): boolean {
  return readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('cryonet-data');
}

/** How often their main threads, which run the JavaScript, have left a processor, of themselves or not: at least as often as
 *  they were woken. */
export function mainThreadSwitches(pids: readonly number[]): number {
  const fields = ['voluntary_ctxt_switches', 'nonvoluntary_ctxt_switches'];
  return sum(
    pids.flatMap((pid) => fields.map((field) => numberIn(`/proc/${pid}/task/${pid}/status`, field))),
  );
}

/** Resident memory, in 10⁶ bytes. */
export function residentMegabytes(pids: readonly number[]): number {
  return megabytes(pids, 'status', 'VmRSS');
}

/** What of that is pages of files. */
export function fileMegabytes(pids: readonly number[]): number {
  return megabytes(pids, 'status', 'RssFile');
}

/** Resident memory, with what several processes share divided among them. */
export function proportionalMegabytes(pids: readonly number[]): number {
  return megabytes(pids, 'smaps_rollup', 'Pss');
}

function megabytes(pids: readonly number[], file: string, field: string): number {
  return (sum(pids.map((pid) => numberIn(`/proc/${pid}/${file}`, field))) * 1024) / 1e6;
}

function numberIn(file: string, field: string): number {
  const found = new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(readFileSync(file, 'utf8'));
  if (!found) throw new Error(`no ${field} in ${file}`);
  return Number(found[1]);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

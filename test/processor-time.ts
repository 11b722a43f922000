/** Imported ahead of a test file: at its end it says in a file how much of the processors it and all that it started took. */
import { appendFileSync, readFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

/** Names the file, which gets a line for each test file: seconds, a space, the path. */
export const processorTimeFile = 'CRYONET_PROCESSOR_TIMES';

/** USER_HZ, which Linux has as 100 on all that this project runs on. */
const ticksPerSecond = 100;

const times = process.env[processorTimeFile];
const [, path] = process.argv;
if (isMainThread && times !== undefined && path !== undefined) {
  process.on('exit', () => appendFileSync(times, `${processorSeconds(`${process.pid}`)} ${path}\n`));
}

/** Of a process and of all below it, but for those that ended and were not waited for: utime to cstime of proc_pid_stat(5). */
function processorSeconds(pid: string): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const own = fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / ticksPerSecond;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
  return children.reduce((sum, child) => sum + processorSeconds(child), own);
}

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
  process.on('exit', () => appendFileSync(times, `${processorSeconds()} ${path}\n`));
}

/** Of this process and of those below it that have ended and were waited for: utime to cstime of proc_pid_stat(5). */
function processorSeconds(): number {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / ticksPerSecond;
}

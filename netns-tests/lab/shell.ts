/** zx, quiet and bounded: `shell` for the machine, `shellIn` for one network namespace. */
import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { $, type Options } from 'zx/core';

/** Quiet, and no longer than 5 min: more than the heaviest command (lintian on a package) takes on a busy machine. */
const boundMilliseconds = 300_000;
export const bounded = {
  quiet: true,
  timeout: `${boundMilliseconds}ms`,
  stdio: 'pipe',
} satisfies Partial<Options>;

/** Throws on a non-zero exit, unless called as shell({ nothrow: true }). */
export type Shell = typeof $;

export const shell = $(bounded) as Shell;

/** Runs a program with that input, without a shell: what each story does many times. Rejects with what it said on standard
 *  error where it does not exit with 0. */
export async function run([file, ...words]: readonly string[], input: string): Promise<void> {
  const running = promisify(execFile)(file!, words, { timeout: boundMilliseconds });
  running.child.stdin!.end(input);
  await running;
}

/** A zx shell of which every command, pipes and lists included, runs inside the namespace. */
export function shellIn(namespace: string): Shell {
  const inside = (command: string, _arguments: unknown, spawnOptions: object) =>
    spawn('ip', ['netns', 'exec', namespace, 'bash', '-c', command], { ...spawnOptions, shell: false });
  return $({ ...bounded, spawn: inside as typeof spawn }) as Shell;
}

/** zx, quiet and bounded: `shell` for the machine, `shellIn` for one network namespace. */
import { spawn } from 'node:child_process';
import { $, type Options } from 'zx';

/** Quiet, and no longer than 5 min: more than the heaviest command (lintian on a package) takes on a busy machine. */
export const bounded = { quiet: true, timeout: '300s', stdio: 'pipe' } satisfies Partial<Options>;

/** Throws on a non-zero exit, unless called as shell({ nothrow: true }). */
export type Shell = typeof $;

export const shell = $(bounded) as Shell;

/** A zx shell of which every command, pipes and lists included, runs inside the namespace. */
export function shellIn(namespace: string): Shell {
  const inside = (command: string, _arguments: unknown, spawnOptions: object) =>
    spawn('ip', ['netns', 'exec', namespace, 'bash', '-c', command], { ...spawnOptions, shell: false });
  return $({ ...bounded, spawn: inside as typeof spawn }) as Shell;
}

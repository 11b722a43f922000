/** zx, quiet and bounded: `shell` for the machine, `shellIn` for one network namespace. */
import { spawn } from 'node:child_process';
import { $, type Options } from 'zx';

const options: Partial<Options> = { quiet: true, timeout: '60s', stdio: 'pipe' };

/** Throws on a non-zero exit, unless called as shell({ nothrow: true }). */
export type Shell = typeof $;

export const shell = $(options) as Shell;

/** A zx shell of which every command, pipes and lists included, runs inside the namespace. */
export function shellIn(namespace: string): Shell {
  const inside = (command: string, _arguments: unknown, spawnOptions: object) =>
    spawn('ip', ['netns', 'exec', namespace, 'bash', '-c', command], { ...spawnOptions, shell: false });
  return $({ ...options, spawn: inside as typeof spawn }) as Shell;
}

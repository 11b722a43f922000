/** Helpers in C, compiled where they are needed. */
import { join } from 'node:path';
import type { Lab } from './lab.ts';
import { shell } from './shell.ts';

/** Compiles `<name>.c` of this folder into the lab's directory; resolves with the path of the program. */
export async function buildTool(
  lab: Lab,
  name: 'frame' | 'gso' | 'hop' | 'no-ipv6' | 'refuse',
): Promise<string> {
  const tool = join(lab.directory, name);
  await compile(name, tool);
  return tool;
}

/** The same for a library, `<name>.so` of the folder. */
export async function buildLibrary(name: 'clock', folder: string): Promise<string> {
  const library = join(folder, `${name}.so`);
  await compile(name, library, '-shared', '-fPIC');
  return library;
}

async function compile(name: string, result: string, ...options: readonly string[]): Promise<void> {
  const source = join(import.meta.dirname, `${name}.c`);
  await shell`cc -std=c17 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror ${options} -o ${result} ${source}`;
}

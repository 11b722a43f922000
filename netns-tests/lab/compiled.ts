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
  const source = join(import.meta.dirname, `${name}.c`);
  await shell`cc -std=c17 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -o ${tool} ${source}`;
  return tool;
}

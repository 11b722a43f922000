/** Raw frames of any ethertype, by a helper compiled where it is needed. */
import { join } from 'node:path';
import type { Lab } from './lab.ts';
import { shell } from './shell.ts';

/** Compiles `frame.c` into the lab's directory; resolves with the path of the program. */
export async function buildFrameTool(lab: Lab): Promise<string> {
  const tool = join(lab.directory, 'frame');
  await shell`cc -O1 -Wall -Wextra -Werror -o ${tool} ${join(import.meta.dirname, 'frame.c')}`;
  return tool;
}

/** What `cryoc routing-config` says for a node. */
import { join } from 'node:path';
import type { CryonetNode } from './node.ts';
import { programs } from './programs.ts';
import { shell } from './shell.ts';

/** `words`: daemon and options. */
export async function routingConfig(node: CryonetNode, words: readonly string[]): Promise<string> {
  const cryoc = join(programs, 'cryoc');
  const { stdout } = await shell`${cryoc} --socket ${node.controlSocket} routing-config ${words}`;
  return stdout;
}

/** A bare Debian: nothing but what every one has, with a checkout of this project in it. */
import { join, resolve } from 'node:path';
import type { Lab } from '../../netns-tests/lab/lab.ts';
import type { Program } from '../../netns-tests/lab/program.ts';
import { downloadsOf, makeRoot, rootOf, type Suite } from './root.ts';

const script = join(import.meta.dirname, 'bare.sh');
const checkout = resolve(import.meta.dirname, '../..');

/** Starts shell commands in the checkout, as root of a bare system of that release. All of it is gone with the lab. */
export async function startBare(lab: Lab, suite: Suite, commands: string): Promise<Program> {
  await makeRoot(suite, AbortSignal.timeout(600_000), 'bare');
  return lab.start({
    label: `bare-${suite}`,
    command: [
      ...['unshare', '--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', script],
      ...[rootOf(suite, 'bare'), checkout, downloadsOf(suite), 'bash', '-euc', `cd /cryonet\n${commands}`],
    ],
  });
}

/** What the stories of packages need before they begin: root trees of Debian releases, and the packages. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lacks } from '../../netns-tests/lab/needs.ts';
import { timed } from '../../netns-tests/lab/wait.ts';
import { buildEdition, editions } from './packages.ts';
import { makeRoot, suites } from './root.ts';
import { everything } from './story.ts';

let own: string | undefined;

/** Makes what is not there yet and sets CRYONET_PACKAGES. Where the machine lacks something it makes nothing: each story
 *  is then skipped with the reason. Rejects with what failed. */
export async function prepare(signal: AbortSignal): Promise<void> {
  if (process.env.CRYONET_PACKAGES === undefined) {
    own = mkdtempSync(join(tmpdir(), 'cryonet-packages-'));
    process.env.CRYONET_PACKAGES = own;
    process.once('exit', forgetPackages);
  }
  if (lacks(everything).length > 0) return;
  const packages = process.env.CRYONET_PACKAGES;
  const { milliseconds } = await timed(async () => {
    for (const suite of suites) await makeRoot(suite, signal);
    await build(packages, signal);
  });
  console.log(`root trees and packages are there after ${(milliseconds / 1000).toFixed(1)} s`);
}

/** Takes the packages away, where nobody asked for them to stay. */
export function forgetPackages(): void {
  if (own !== undefined) rmSync(own, { recursive: true, force: true });
  own = undefined;
}

async function build(packages: string, signal: AbortSignal): Promise<void> {
  for (const edition of editions) {
    if (!existsSync(join(packages, edition))) await buildEdition(edition, signal);
  }
}

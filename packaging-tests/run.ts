/**
 * Makes the root trees and the packages, then runs the stories as netns-tests/run.ts does.
 *
 *   node packaging-tests/run.ts [FILE...]
 *
 * Root trees stay in /var/cache/cryonet-tests, or where CRYONET_ROOTS says. Packages are built for each run; where
 * CRYONET_PACKAGES names a directory they are built there, unless they are there, and stay. CRYONET_TUN_MODE is the mode
 * of the machines' /dev/net/tun in stories that are not about it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lacks } from '../netns-tests/lab/needs.ts';
import { timed } from '../netns-tests/lab/wait.ts';
import { buildEdition, editions } from './lab/packages.ts';
import { makeRoot, type Suite, suites } from './lab/root.ts';
import { everything } from './lab/story.ts';

const runner = join(import.meta.dirname, '..', 'netns-tests', 'run.ts');
const wanted = process.argv.slice(2);
const files = wanted.length > 0 ? wanted : globSync(join(import.meta.dirname, '*.test.ts')).sort();

const kept = process.env.CRYONET_PACKAGES;
const packages = kept ?? mkdtempSync(join(tmpdir(), 'cryonet-packages-'));
process.env.CRYONET_PACKAGES = packages;
process.once('exit', () => {
  if (kept === undefined) rmSync(packages, { recursive: true, force: true });
});

let stories: ChildProcess | undefined;
const interruption = new AbortController();
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.on(signal, () => {
    process.exitCode = code;
    interruption.abort();
    stories?.kill(signal);
  });
}

// Where something is missing each story is skipped with the reason.
if (lacks(everything).length === 0) {
  const { value, milliseconds } = await timed(() => Promise.allSettled([...suites.map(root), build()]));
  if (interruption.signal.aborted) process.exit();
  for (const one of value) {
    if (one.status === 'rejected') throw one.reason;
  }
  console.log(`root trees and packages are there after ${(milliseconds / 1000).toFixed(1)} s`);
}
stories = spawn(process.execPath, [runner, ...files], { stdio: 'inherit' });
stories.once('exit', (code) => {
  process.exitCode ||= code ?? 1;
});

function root(suite: Suite): Promise<void> {
  return makeRoot(suite, interruption.signal);
}

async function build(): Promise<void> {
  for (const edition of editions) {
    if (!existsSync(join(packages, edition))) await buildEdition(edition, interruption.signal);
  }
}

/**
 * Makes the root trees and the packages, then runs the stories as netns-tests/run.ts does.
 *
 *   node packaging-tests/run.ts [FILE...]
 *
 * Root trees stay in /var/cache/cryonet-tests, or where CRYONET_ROOTS says. Packages are built for each run; where
 * CRYONET_PACKAGES names a directory they are built there, unless they are there, and stay. CRYONET_TUN_MODE is the mode
 * of the machines' /dev/net/tun in stories that are not about it.
 */
import { globSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { atOnce, Runner } from '../test/runner.ts';
import { forgetPackages, prepare } from './lab/prepare.ts';

const wanted = process.argv.slice(2).map((file) => resolve(file));
const files = wanted.length > 0 ? wanted : globSync(join(import.meta.dirname, '*.test.ts')).sort();

const runner = new Runner(join(import.meta.dirname, '..'));
try {
  await prepare(runner.interrupted);
  await runner.run(files, { concurrency: atOnce.stories });
} finally {
  forgetPackages();
}
runner.end();

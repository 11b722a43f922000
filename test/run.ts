/**
 * `npm test`: the unit tests, then those in network namespaces, then those of the packages. Exits 0 only if all pass.
 *
 * The latter two need root, TUN devices and a few Debian packages; where one is missing they are skipped, each with its
 * reason. With CI=true a test skipped there is a failure.
 */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { dirname } from 'node:path';

const root = dirname(import.meta.dirname);

/** Milliseconds that one test may take. */
const testTimeout = 120_000;

function run(args: readonly string[]): boolean {
  return spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' }).status === 0;
}

const files = globSync('test/**/*.test.ts', { cwd: root }).sort();
const unit = run(['--test', `--test-timeout=${testTimeout}`, '--test-concurrency=2', ...files]);
const namespaces = run(['netns-tests/run.ts']);
const packages = run(['packaging-tests/run.ts']);
process.exit(unit && namespaces && packages ? 0 : 1);

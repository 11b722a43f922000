/**
 * `npm test`: the unit tests, then the namespace tests. Exits 0 only if both pass.
 *
 * Namespace tests need root, TUN devices and a few Debian packages; where one is missing they are skipped, each with
 * its reason. With CI=true a skipped namespace test is a failure.
 */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(import.meta.dirname);

/** Milliseconds that one test may take. */
const testTimeout = 120_000;

function run(args: readonly string[]): boolean {
  return spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' }).status === 0;
}

const files = globSync('test/**/*.test.ts', { cwd: root }).sort();
const unit = run(['--test', `--test-timeout=${testTimeout}`, '--test-concurrency=2', ...files]);
const namespaces = run([fileURLToPath(new URL('../netns-tests/run.ts', import.meta.url))]);
process.exit(unit && namespaces ? 0 : 1);

/**
 * `./dev test [FILE...]`: the unit tests, then those in network namespaces, then those of the packages; or those of the
 * files alone. Exits 0 only if all pass.
 *
 * The latter two need root, TUN devices and a few Debian packages; where one is missing they are skipped, each with its
 * reason. With CI=true a test skipped there is a failure.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

const root = dirname(import.meta.dirname);

/** Milliseconds that one test may take. */
const testTimeout = 120_000;

const folders = ['test', 'netns-tests', 'packaging-tests'] as const;
type Folder = (typeof folders)[number];

const wanted = process.argv.slice(2).map((file) => relative(root, resolve(file)));
const strange = wanted.filter((file) => !folders.some((folder) => isIn(file, folder)));
if (strange.length > 0) {
  console.error(`no test of this project: ${strange.join(', ')}`);
  process.exit(1);
}

const results = [
  kind('test', ['--test', `--test-timeout=${testTimeout}`, '--test-concurrency=2'], 'test/**/*.test.ts'),
  kind('netns-tests', ['netns-tests/run.ts']),
  kind('packaging-tests', ['packaging-tests/run.ts']),
];
process.exit(results.every(Boolean) ? 0 : 1);

function isIn(file: string, folder: Folder): boolean {
  return file.startsWith(`${folder}/`) && file.endsWith('.test.ts') && existsSync(join(root, file));
}

/** Runs the wanted files of one folder, or all of it where none are wanted at all, and tells whether all is well.
 *  `all`: for a runner that does not find its files by itself. */
function kind(folder: Folder, runner: readonly string[], all?: string): boolean {
  const chosen = wanted.filter((file) => isIn(file, folder));
  if (wanted.length > 0 && chosen.length === 0) return true;
  const files = wanted.length === 0 && all ? globSync(all, { cwd: root }).sort() : chosen;
  return spawnSync(process.execPath, [...runner, ...files], { cwd: root, stdio: 'inherit' }).status === 0;
}

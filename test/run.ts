/**
 * `./dev test [FILE...]`: the unit tests, then the stories in network namespaces and those of the packages; or those of
 * the files alone. Exits 0 only if all pass.
 *
 *   unit tests ──────────────────────────────┬── stories of namespaces and packages
 *   root trees, packages ────────────────────┴── stories of bare systems ── patient unit tests, at low priority
 *
 * The second line is one process at a time as far as may be: where more of them want a processor than there are, all of
 * them together take a quarter more of it.
 *
 * Stories need root, TUN devices and a few Debian packages; where one is missing they are skipped, each with its
 * reason. With CI=true a test skipped there is a failure.
 */
import { existsSync, globSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { programsVariable } from '../netns-tests/lab/programs.ts';
import { bundledPrograms } from '../packaging/bundled.ts';
import { forgetPackages, prepare } from '../packaging-tests/lab/prepare.ts';
import { atOnce, isPatient, Runner } from './runner.ts';

const root = dirname(import.meta.dirname);

/** Milliseconds that one unit test may take, and a patient one, which gets little done in them. */
const testTimeout = 600_000;
const patientTimeout = 1_500_000;

const folders = ['test', 'netns-tests', 'packaging-tests'] as const;
type Folder = (typeof folders)[number];

const wanted = process.argv.slice(2).map((file) => relative(root, resolve(file)));
const strange = wanted.filter((file) => !folders.some((folder) => isIn(file, folder)));
if (strange.length > 0) {
  console.error(`no test of this project: ${strange.join(', ')}`);
  process.exit(1);
}

const patient = filesOf('test').filter(isPatient);
const units = filesOf('test').filter((file) => !isPatient(file));
const stories = filesOf('netns-tests');
const bare = filesOf('packaging-tests').filter((file) => file.endsWith('/bare.test.ts'));
const ofPackages = filesOf('packaging-tests').filter((file) => !bare.includes(file));

const runner = new Runner(root);
const aside = [patient, units, stories, bare, ofPackages].filter(({ length }) => length > 0).length > 1;
const prepared = ofPackages.length > 0 && prepare(runner.interrupted).then(() => true, unprepared);
const inBackground = background();
await runner.run(units, { concurrency: atOnce.units, timeout: testTimeout });
const ready = (await prepared) ? ofPackages : [];
if (stories.length > 0) process.env[programsVariable] ??= await bundledPrograms();
await runner.run([...stories, ...ready], { concurrency: atOnce.stories });
await inBackground;
forgetPackages();
runner.end();

async function background(): Promise<void> {
  await prepared;
  await runner.run(bare, { concurrency: 1, aside });
  const { patient: concurrency } = atOnce;
  await runner.run(patient, { concurrency, timeout: patientTimeout, aside, yielding: aside });
}

/** The other tests go on. */
function unprepared(error: unknown): false {
  console.error('no stories of packages:', error);
  process.exitCode ||= 1;
  return false;
}

function isIn(file: string, folder: Folder): boolean {
  return file.startsWith(`${folder}/`) && file.endsWith('.test.ts') && existsSync(join(root, file));
}

/** The wanted files of one folder, or all of it where none are wanted at all. */
function filesOf(folder: Folder): string[] {
  const all = wanted.length > 0 ? wanted : globSync(`${folder}/**/*.test.ts`, { cwd: root }).sort();
  return all.filter((file) => isIn(file, folder)).map((file) => join(root, file));
}

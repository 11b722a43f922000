/**
 * Runs the stories, some at a time, and ends with 1 if any failed. With CI=true a skipped story is a failure too: there
 * everything must be installed.
 *
 *   node netns-tests/run.ts [FILE...]
 */
import { globSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { bundledPrograms } from '../packaging/bundled.ts';
import { atOnce, Runner } from '../test/runner.ts';
import { programsVariable } from './lab/programs.ts';

const wanted = process.argv.slice(2).map((file) => resolve(file));
const files = wanted.length > 0 ? wanted : globSync(join(import.meta.dirname, '*.test.ts')).sort();

const runner = new Runner(join(import.meta.dirname, '..'));
process.env[programsVariable] ??= await bundledPrograms();
await runner.run(files, { concurrency: atOnce.stories });
runner.end();

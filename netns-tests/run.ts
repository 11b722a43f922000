/**
 * Runs the stories, two at a time, and ends with 1 if any failed. With CI=true a skipped story is a failure too:
 * there everything must be installed.
 *
 *   node netns-tests/run.ts [FILE...]
 */
import { globSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

/** Each has namespaces and names of its own; more than two contend for a small machine's cores. */
const concurrency = 2;

const wanted = process.argv.slice(2).map((file) => resolve(file));
const files = wanted.length > 0 ? wanted : globSync(join(import.meta.dirname, '*.test.ts')).sort();
const skipped: string[] = [];

// Stories tear down on a signal by themselves, but only if it reaches them.
const interruption = new AbortController();
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.once(signal, () => {
    interruption.abort();
    process.exitCode = code;
  });
}

const stories = run({ files, concurrency, signal: interruption.signal });
stories.on('test:pass', ({ name, skip }) => {
  if (skip) skipped.push(`${name}: ${skip}`);
});
stories.on('test:fail', () => {
  process.exitCode ||= 1;
});
stories.compose(new spec()).pipe(process.stdout);
stories.once('end', () => {
  for (const story of skipped) console.error(`skipped: ${story}`);
  if (process.env.CI === 'true' && skipped.length > 0) process.exitCode ||= 1;
});

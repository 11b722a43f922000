/** What bench says of the values that it took, and its command line. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { choose, help } from '../bench/choice.ts';
import { figure, type Measure } from '../bench/measure.ts';
import { measures as all } from '../bench/measures.ts';
import { addRatios, markdown, verdicts } from '../bench/report.ts';
import { Results } from '../bench/results.ts';

const speed = figure('speed', 'speed', 'Mbit/s', 0, { atLeast: 2, times: ['other'], old: 0.98 });
const delay = figure('delay', 'delay', 's', 1, { atMost: 1, note: 'From end to end.' });
const measures: Measure[] = [
  { name: 'one', about: 'the one', figures: [speed, delay], take: async () => ({ speed: 1, delay: 2 }) },
];

/** Of each subject, one value a round. */
function resultsOf(values: Record<string, Record<string, readonly number[]>>): Results {
  const results = new Results();
  for (const [key, subjects] of Object.entries(values))
    for (const [subject, taken] of Object.entries(subjects))
      for (const [round, value] of taken.entries()) results.record(key, subject, round, value);
  addRatios(results, [speed, delay]);
  return results;
}

const columnsOf = (...names: readonly string[]) => names.map((name) => ({ name, version: '' }));

suite('a report', () => {
  test('says by ratios within each round what was reached', () => {
    const results = resultsOf({ speed: { cryonet: [100, 300, 500], other: [50, 100, 300] } });
    assert.deepEqual(verdicts(results, [speed, delay], columnsOf('cryonet', 'other')), [
      'reached  speed: 300 (100–500) Mbit/s; 2.00 × other (must be ≥ 2 × other; ≥ 0.98 × old)',
    ]);
  });

  test('says by how much a checkout differs from another, and asks nothing of subjects that were left out', () => {
    const results = resultsOf({
      speed: { cryonet: [97, 96], old: [100, 100] },
      delay: { cryonet: [0.5, 0.5], old: [1, 1] },
    });
    assert.deepEqual(verdicts(results, [speed, delay], columnsOf('cryonet', 'old')), [
      'missed   speed: 97 (96–97) Mbit/s; 0.96 (0.96–0.97) × old (must be ≥ 2 × other; ≥ 0.98 × old)',
      'reached  delay: 0.5 (0.5–0.5) s; 0.50 (0.50–0.50) × old (must be ≤ 1 s)',
    ]);
  });

  test('has a row for each figure with values, and footnotes', () => {
    const results = resultsOf({ delay: { cryonet: [2, 4] } });
    assert.deepEqual(markdown(results, [speed, delay], columnsOf('cryonet', 'other')).split('\n'), [
      '|  | must reach | cryonet | other |  |',
      '| --- | ---: | ---: | ---: | --- |',
      '| delay, s [1] | ≤ 1 s | 3.0 (2.0–4.0) | – | missed |',
      '',
      '1. From end to end.',
    ]);
  });

  test('says that there is no value where every take broke', () => {
    const results = resultsOf({ delay: { other: [2] } });
    assert.deepEqual(verdicts(results, [delay], columnsOf('cryonet')), ['no value delay: – (must be ≤ 1 s)']);
  });
});

suite('the command line', () => {
  test('names in its help every measure and subject, in 80 columns', () => {
    const text = help(all, ['cryonet', 'old']);
    for (const line of text.split('\n')) assert.ok(line.length <= 80, line);
    for (const { name, about } of all) assert.match(text, new RegExp(`^  ${name} +${about}$`, 'm'));
    assert.match(text, /^ {2}old$/m);
  });

  test('refuses what it does not know, and says what there is', () => {
    const refused =
      (...line: readonly string[]) =>
      () =>
        choose(line, measures, ['cryonet', 'old']);
    assert.throws(refused('--only', 'two'), /--only takes one of one: not two/);
    assert.throws(refused('--with', 'another'), /--with takes one of cryonet, old: not another/);
    assert.throws(refused('--with', 'old'), /--with old needs --old/);
    assert.throws(refused('--runs', '0'), /--runs takes a number from 1/);
    assert.throws(refused('--fast'), /--fast/);
  });

  test('takes five values of each figure, and one for a quick look', () => {
    assert.equal(choose([], measures, []).runs, 5);
    assert.equal(choose(['--quick'], measures, []).runs, 1);
    assert.equal(choose(['--quick', '--runs', '3'], measures, []).runs, 3);
  });

  test('measures every subject, and with another checkout these two alone', () => {
    const subjects = ['cryonet', 'old', 'other'];
    assert.deepEqual(choose([], measures, subjects).with, ['cryonet', 'other']);
    assert.deepEqual(choose(['--old', '../before'], measures, subjects).with, ['cryonet', 'old']);
    assert.deepEqual(choose(['--old', '../before', '--with', 'other'], measures, subjects).with, ['other']);
  });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { maxPeerWarnings, Warnings } from '../protocol/warnings.ts';
import { newLogLines } from './log-lines.ts';

class Lab {
  /** By the steady clock. */
  now = performance.now();
  changes = 0;
  readonly #logged = newLogLines();
  readonly warnings = new Warnings(
    this.#logged.log,
    () => {
      this.changes++;
    },
    () => this.now,
  );

  /** What a log of the usual level has: level and subject of each line. */
  said(): unknown[] {
    return this.#logged.lines
      .filter(({ level }) => level !== 'debug')
      .map(({ level, fields }) => [level, fields.about]);
  }
}

test('a warning is logged once, however often it is set in the same words, and once when it is over', () => {
  const lab = new Lab();
  const { warnings } = lab;
  for (let i = 0; i < 3; i++) warnings.set('listen', 'the address is not there yet');
  for (let i = 0; i < 2; i++) warnings.clear('listen');
  assert.deepEqual(lab.said(), [
    ['warn', 'listen'],
    ['info', 'listen'],
  ]);
  assert.deepEqual(warnings.list(), []);
});

test('other words for the same thing do not change since when it is so', () => {
  const lab = new Lab();
  lab.warnings.set('state-dir', 'the disk is full');
  lab.now += 90_000;
  lab.warnings.set('state-dir', 'the disk can only be read');
  const [warning, ...others] = lab.warnings.list();
  assert.deepEqual(others, []);
  assert.equal(warning!.message, 'the disk can only be read');
  assert.ok(Math.abs(warning!.since - (Date.now() - (performance.now() - (lab.now - 90_000)))) < 1000);
  assert.equal(lab.said().length, 2);
});

test('peers cannot push out what is said of the node, nor fill the memory', () => {
  const { warnings } = new Lab();
  for (let i = 0; i < maxPeerWarnings + 50; i++) warnings.set('mtu', 'x'.repeat(5000), `p${i}`);
  warnings.set('listen', 'two\nlines');
  const list = warnings.list();
  assert.equal(list.length, maxPeerWarnings + 1);
  assert.deepEqual([list[0]!.subject, list[0]!.message], ['listen', 'two lines']);
  assert.ok(list.every(({ message }) => message.length <= 1024));
});

test('with a peer goes what was said of its link, and nothing else', () => {
  const lab = new Lab();
  lab.warnings.set('mtu', 'm', 'osaka');
  lab.warnings.set('route', 'r', 'osaka');
  lab.warnings.set('route', 'r', 'lima');
  const before = lab.changes;
  lab.warnings.forget('osaka');
  lab.warnings.forget('osaka');
  assert.equal(lab.changes, before + 1);
  assert.deepEqual(
    lab.warnings.list().map(({ peer }) => peer),
    ['lima'],
  );
});

test('how long a warning has been there does not change when the clock is set', (context) => {
  const lab = new Lab();
  lab.warnings.set('listen', 'the address is not there yet');
  const age = () => Date.now() - lab.warnings.list()[0]!.since;
  const before = age();
  for (const day of [-1, 1, 20_786]) {
    const clock = Date.now;
    context.mock.method(Date, 'now', () => clock() + day * 86_400_000);
    assert.ok(Math.abs(age() - before) < 1000, `${age()} ms`);
    context.mock.restoreAll();
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keep, maxKept, meet, newPins, pinOf, replaceKept, settlePins } from '../control/core/pins.ts';

const day = 86_400_000;
const [k1, k2, k3] = ['11', '22', '33'].map((byte) => byte.repeat(32)) as [string, string, string];
const empty: ReadonlyMap<string, string> = new Map();

test('a key met is forgotten a day after its last proof, one that was linked is kept', () => {
  const pins = newPins(empty, empty);
  meet(pins, 'a', k1, 0);
  meet(pins, 'b', k2, 0);
  assert.ok(keep(pins, 'b', k2));
  assert.ok(!keep(pins, 'b', k2), 'once');
  meet(pins, 'a', k1, 1000);
  settlePins(pins, day);
  assert.equal(pinOf(pins, 'a'), k1);
  settlePins(pins, day + 1000);
  assert.deepEqual([pinOf(pins, 'a'), pinOf(pins, 'b'), pins.ids.get(k1)], [undefined, k2, undefined]);
});

test('a key has one ID: it takes another one along', () => {
  const pins = newPins(empty, new Map([['old', k1]]));
  meet(pins, 'new', k1, 0);
  assert.deepEqual([pinOf(pins, 'old'), pinOf(pins, 'new'), pins.ids.get(k1)], [undefined, k1, 'new']);
  const both = newPins(
    empty,
    new Map([
      ['old', k1],
      ['new', k1],
    ]),
  );
  assert.deepEqual([...both.kept], [['new', k1]], 'of two lines the last counts');
});

test('keys met have a bound, and the one met longest ago gives way; there is always room for one more', () => {
  const pins = newPins(empty, empty);
  for (let i = 0; i < 70_000; i++) meet(pins, `n${i}`, `key ${i}`, i);
  assert.deepEqual([pins.met.size, pins.ids.size], [4096, 4096]);
  assert.equal(pinOf(pins, 'n69999'), 'key 69999');
});

test('keys kept have a bound: beyond it one stays met', () => {
  const pins = newPins(empty, new Map(Array.from({ length: maxKept }, (_, i) => [`n${i}`, `key ${i}`])));
  meet(pins, 'more', k1, 0);
  assert.ok(!keep(pins, 'more', k1));
  assert.equal(pinOf(pins, 'more'), k1);
});

test('what the operator names counts before what was kept, and stays', () => {
  const pins = newPins(new Map([['a', k1]]), new Map([['a', k2]]));
  assert.equal(pinOf(pins, 'a'), k1);
  assert.ok(!keep(pins, 'a', k1));
  assert.deepEqual(replaceKept(pins, new Map([['a', k3]])), []);
  assert.deepEqual(
    [pinOf(pins, 'a'), pins.ids.get(k1)],
    ['a', 'a'].map((_, i) => (i === 0 ? k1 : 'a')),
  );
});

test('a file that was changed: which IDs have another key now, or none', () => {
  const kept = new Map([
    ['same', k1],
    ['changed', k2],
    ['gone', 'aa'],
  ]);
  const pins = newPins(empty, kept);
  meet(pins, 'met', 'bb', 0);
  const next = new Map([
    ['same', k1],
    ['changed', k3],
    ['added', 'cc'],
    ['met', 'dd'],
  ]);
  assert.deepEqual(replaceKept(pins, next).sort(), ['added', 'changed', 'gone', 'met']);
  const now = ['same', 'changed', 'gone', 'added', 'met'].map((id) => pinOf(pins, id));
  assert.deepEqual(now, [k1, k3, undefined, 'cc', 'dd']);
  assert.deepEqual([pins.ids.get(k2), pins.ids.get('bb')], [undefined, undefined]);
});

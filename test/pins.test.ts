import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf } from '../control/core/environment.ts';
import { fingerprintOfPin } from '../control/core/fingerprint.ts';
import {
  keep,
  maxKept,
  meet,
  newPins,
  pinOf,
  recognize,
  replaceKept,
  replaceNamed,
  settlePins,
} from '../control/core/pins.ts';
import { sha256 } from '../control/io/crypto.ts';
import { fingerprintOf, testEnvironment } from './environment.ts';

const day = 86_400_000;
const [k1, k2, k3] = ['11', '22', '33'].map((byte) => byte.repeat(32)) as [string, string, string];
const [f1, f2] = [k1, k2].map((key) => fingerprintOf(bytesOf(key))) as [string, string];
const { digest } = testEnvironment(new Uint8Array(32), 0);
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

test('the operator names another key while the node runs: it alone counts, and a key that is named no more is what was kept', () => {
  const pins = newPins(new Map([['a', k1]]), new Map([['b', k2]]));
  assert.deepEqual(replaceNamed(pins, new Map([['a', k1]]), sha256), []);
  assert.deepEqual(
    replaceNamed(
      pins,
      new Map([
        ['a', k3],
        ['b', k1],
      ]),
      sha256,
    ),
    ['a', 'b'],
  );
  assert.deepEqual(
    [pinOf(pins, 'a'), pinOf(pins, 'b'), pins.ids.get(k1), pins.ids.get(k3)],
    [k3, k1, 'b', 'a'],
  );
  assert.deepEqual(replaceNamed(pins, new Map(), sha256), ['a', 'b']);
  assert.deepEqual([pinOf(pins, 'a'), pinOf(pins, 'b'), pins.ids.get(k2)], [undefined, k2, 'b']);
  const fingerprint = fingerprintOfPin(k2, sha256);
  assert.deepEqual(
    replaceNamed(pins, new Map([['b', fingerprint]]), sha256),
    [],
    'the fingerprint of the same key',
  );
  assert.equal(pinOf(pins, 'b'), k2);
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

test('a fingerprint is the pin until its key is seen, by hearsay too, and then that key is', () => {
  for (const [named, kept] of [
    [new Map([['a', f1]]), empty],
    [empty, new Map([['a', f1]])],
  ] as const) {
    const pins = newPins(named, kept);
    recognize(pins, 'a', k2, digest);
    recognize(pins, 'b', k1, digest);
    assert.equal(pinOf(pins, 'a'), f1, 'no key but that one, for that ID alone');
    recognize(pins, 'a', k1, digest);
    assert.deepEqual([pinOf(pins, 'a'), pins.ids.get(k1), pins.ids.has(f1)], [k1, 'a', false]);
    assert.ok(!keep(pins, 'a', k1), 'there is a line of it already');
  }
});

test('a line with the fingerprint of the key that an ID has changes nothing, one of another key does', () => {
  const pins = newPins(empty, new Map([['a', k1]]));
  assert.deepEqual(replaceKept(pins, new Map([['a', f1]]), digest), []);
  assert.equal(pinOf(pins, 'a'), k1);
  assert.deepEqual(replaceKept(pins, new Map([['a', f2]]), digest), ['a']);
  assert.equal(pinOf(pins, 'a'), f2);
  recognize(pins, 'a', k2, digest);
  assert.deepEqual([pinOf(pins, 'a'), pins.ids.get(k1)], [k2, undefined]);
});

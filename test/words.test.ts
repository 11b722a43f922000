import assert from 'node:assert/strict';
import { test } from 'node:test';
import { duration } from '../cli/words.ts';

const durations: readonly [milliseconds: number, text: string][] = [
  [0, '0s'],
  [-5000, '0s'],
  [999, '0s'],
  [1000, '1s'],
  [59_999, '59s'],
  [60_000, '1m0s'],
  [61_500, '1m1s'],
  [3_599_999, '59m59s'],
  [3_600_000, '1h0m'],
  [86_399_999, '23h59m'],
  [86_400_000, '1d0h'],
  [90_061_000, '1d1h'],
  [400 * 86_400_000, '400d0h'],
];

for (const [milliseconds, text] of durations) {
  test(`${milliseconds} ms is written ${text}`, () => assert.equal(duration(milliseconds), text));
}

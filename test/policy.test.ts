import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { offers } from '../control/core/offerer.ts';
import { permits } from '../control/core/policy.ts';
import { backoff } from '../protocol/backoff.ts';
import { matches } from '../protocol/glob.ts';

const id = fc.stringMatching(/^[A-Za-z0-9_-]{1,16}$/);

const verdicts: readonly [
  allow: readonly string[],
  deny: readonly string[],
  peer: string,
  permitted: boolean,
][] = [
  [[], [], 'a', true],
  [['a'], [], 'a', true],
  [['a'], [], 'b', false],
  [['b', 'a'], [], 'a', true],
  [[], ['a'], 'a', false],
  [[], ['a'], 'b', true],
  [['a'], ['a'], 'a', false],
  [['*'], ['home-*'], 'home-1', false],
  [['*'], ['home-*'], 'office', true],
  [['home-*'], ['home-2'], 'home-1', true],
  [['home-*'], ['home-2'], 'home-2', false],
  [['*-?'], [], 'a-1', true],
  [['*-?'], [], 'a-12', false],
];

for (const [allow, deny, peer, permitted] of verdicts) {
  test(`policy: allow [${allow}] deny [${deny}] ${permitted ? 'permits' : 'denies'} ${peer}`, () => {
    assert.equal(permits({ allow, deny }, peer), permitted);
  });
}

test('a glob matches what the same regular expression matches', () => {
  const glob = fc.stringMatching(/^[ab*?_-]{0,12}$/);
  fc.assert(
    fc.property(glob, fc.stringMatching(/^[ab_-]{0,14}$/), (glob, text) => {
      const pattern = new RegExp(`^${glob.replaceAll('*', '[^]*').replaceAll('?', '[^]')}$`);
      assert.equal(matches(glob, text), pattern.test(text), `${glob} against ${text}`);
    }),
    { numRuns: 5000 },
  );
});

test('a glob of many stars is decided at once', () => {
  const start = process.cpuUsage();
  assert.equal(matches('*a'.repeat(32), `${'a'.repeat(63)}b`), false);
  assert.equal(matches(`${'*a'.repeat(31)}*`, 'a'.repeat(64)), true);
  assert.ok(process.cpuUsage(start).user < 500_000);
});

test('of two nodes exactly one offers, whoever asks', () => {
  fc.assert(
    fc.property(id, id, (a, b) => {
      assert.equal(offers(a, b) !== offers(b, a), a !== b);
    }),
    { numRuns: 2000 },
  );
});

test('the longer ID offers, or of two equally long ones the bytewise greater', () => {
  for (const [offerer, other] of [
    ['aa', 'b'],
    ['b', 'a'],
    ['a', 'Z'],
    ['_', 'Z'],
    ['a', '-'],
    ['node10', 'node9'],
  ] as const) {
    assert.ok(offers(offerer, other));
    assert.ok(!offers(other, offerer));
  }
});

test('who offers is an order: no three nodes in a circle', () => {
  fc.assert(
    fc.property(id, id, id, (a, b, c) => {
      if (offers(a, b) && offers(b, c)) assert.ok(offers(a, c));
    }),
    { numRuns: 2000 },
  );
});

test('the wait doubles from half a second to the limit, less at most a half', () => {
  const limit = 10_000;
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 7].map((failures) => backoff(failures, limit, 0)),
    [500, 1000, 2000, 4000, 8000, 10_000, 10_000],
  );
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10_000 }),
      fc.integer({ min: 10, max: 10 ** 9 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (failures, limit, random) => {
        const wait = backoff(failures, limit, random);
        const full = Math.min(limit, 500 * 2 ** (failures - 1));
        assert.ok(Number.isInteger(wait) && wait <= limit && wait >= Math.floor(full / 2) && wait <= full);
      },
    ),
    { numRuns: 2000 },
  );
});

test('two nodes that failed together do not wait alike', () => {
  assert.notEqual(backoff(4, 60_000, 0.1), backoff(4, 60_000, 0.9));
});

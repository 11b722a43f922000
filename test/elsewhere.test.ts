import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DirectEffect, newDirect, step } from '../dataplane/core/direct.ts';
import { due, type Elsewhere, nextDeadline, tell } from '../dataplane/core/elsewhere.ts';

const place = { address: '203.0.113.7', port: 40_000 };

test('the peer is asked at an address five times, with pauses, and again where it says so again', () => {
  const places: Elsewhere = [];
  assert.equal(nextDeadline(places), undefined);
  const asked: number[] = [];
  const pass = (from: number, to: number) => {
    for (let now = from; now < to; now += 50) if (due(places, now).length > 0) asked.push(now - from);
  };
  tell(places, place, 0);
  assert.equal(nextDeadline(places), 0);
  pass(0, 20_000);
  assert.deepEqual(asked.splice(0), [0, 150, 300, 600, 1200]);
  assert.deepEqual(places, []);
  tell(places, place, 20_000);
  tell(places, place, 20_100);
  pass(20_100, 40_000);
  assert.equal(asked.length, 5);
});

test('of many addresses the last three are asked, each within ten seconds', () => {
  const places: Elsewhere = [];
  for (let port = 1; port <= 100; port++) tell(places, { ...place, port }, 0);
  assert.deepEqual(
    due(places, 0).map(({ port }) => port),
    [98, 99, 100],
  );
  assert.deepEqual(due(places, 10_000), []);
  assert.deepEqual(places, []);
});

test('a path that answers is not looked for elsewhere; one that does not is, until it is found', () => {
  const direct = newDirect(0);
  step(direct, { type: 'installed', negotiation: 'n', offered: true, generation: 0, index: 1 }, 0);
  step(direct, { type: 'active', negotiation: 'n' }, 0);
  step(direct, { type: 'begin' }, 0);
  step(direct, { type: 'answered', index: 1, number: 0, rtt: 10, opened: null }, 10);
  const traffic = { type: 'tick', received: 0, records: 0, sealed: 0, segmented: 0 } as const;
  const asks = (effects: readonly DirectEffect[]) =>
    effects.flatMap((each) => (each.type === 'ask' ? each.place : []));
  const tick = (now: number) => asks(step(direct, { ...traffic, sent: now }, now));
  assert.deepEqual(tick(100), []);
  assert.deepEqual(
    asks(step(direct, { type: 'elsewhere', ...place }, 110)),
    [],
    'its probe may still be answered',
  );
  assert.deepEqual(tick(600), [place]);
  assert.deepEqual(tick(800), [place]);
  step(direct, { type: 'roamed' }, 810);
  assert.deepEqual(tick(1000), []);
  assert.deepEqual(asks(step(direct, { type: 'elsewhere', ...place }, 1010)), [place], 'and elsewhere again');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { linkCost, type Measured } from '../protocol/link-cost.ts';

const up: Measured = { state: 'up', rtt: null, loss: null, relayed: false, path: 'direct' };

const costs: readonly [what: string, link: Partial<Measured>, cost: number | null][] = [
  ['nothing measured yet', {}, 96],
  ['a local network', { rtt: 0.3, loss: 0 }, 96],
  ['another city', { rtt: 15, loss: 0 }, 120],
  ['another continent', { rtt: 150, loss: 0 }, 366],
  ['a tenth lost', { rtt: 15, loss: 0.1 }, 150],
  ['half of it lost', { rtt: 15, loss: 0.5 }, 458],
  ['a relay', { rtt: 15, loss: 0, relayed: true }, 234],
  ['everything lost, for a minute, by a relay', { rtt: 60_000, loss: 1, relayed: true }, 65_535],
  ['a WebSocket', { rtt: 15, loss: 0, path: 'websocket' }, 894],
  ['no link', { state: 'lost', rtt: 15 }, null],
];

for (const [what, link, cost] of costs)
  test(`a link with ${what} costs ${cost}`, () => assert.equal(linkCost({ ...up, ...link }), cost));

test('a cost fits the fields of Babel and OSPF, and is never less for more round trip, loss or a relay', () => {
  const measured = fc.record({
    state: fc.constant('up' as const),
    rtt: fc.double({ min: 0, max: 1e6, noNaN: true }),
    loss: fc.double({ min: 0, max: 1, noNaN: true }),
    relayed: fc.boolean(),
    path: fc.constant('datachannel' as const),
  });
  fc.assert(
    fc.property(measured, measured, (one, other) => {
      const [a, b] = [linkCost(one)!, linkCost(other)!];
      assert.ok(Number.isInteger(a) && a >= 1 && a <= 65_535);
      if (one.rtt <= other.rtt && one.loss <= other.loss && (!one.relayed || other.relayed))
        assert.ok(a <= b);
    }),
  );
});

test('a cost stays while a round trip trembles', () => {
  const seen = new Set(Array.from({ length: 40 }, (_, i) => linkCost({ ...up, rtt: 150 + i / 10 })));
  assert.equal(seen.size, 1);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type DirectEnd, DirectEnds, type Faults } from './direct-ends.ts';

const reliable: Faults = { loss: 0, delay: [10, 10] };
const seed = fc.integer();
const faults = fc.record({
  loss: fc.double({ min: 0, max: 0.3, noNaN: true }),
  delay: fc.integer({ min: 1, max: 150 }).map((most) => [1, most] as const),
});
const offering = fc.constantFrom('a' as const, 'b' as const);

/** Both ends use the same keys, those agreed on last, and nothing is half done. */
function assertSettled(ends: DirectEnds, negotiation: string): void {
  const [a, b] = [ends.a, ends.b];
  const { generation } = a.direct.keypairs.renewals.get(negotiation)!;
  for (const end of [a, b]) {
    assert.equal(end.direct.phase, 'up');
    assert.equal(end.using, `${negotiation} ${generation}`);
    assert.equal(end.used, end.direct.keypairs.using!.index);
    assert.ok(
      end.direct.keypairs.next.every(({ generation }) => generation === 0),
      'none but those of other connections',
    );
    assert.equal(end.direct.reason, '');
  }
}

/** What ended an outage is over; keys, paths and probes have the time that they need. */
function settle(ends: DirectEnds): void {
  ends.faults = reliable;
  ends.deaf.clear();
  ends.pass(45_000);
}

test('two ends move to the path within two round trips of the second one’s keys', () => {
  for (const apart of [0, 5, 50, 500]) {
    const ends = new DirectEnds();
    ends.connect('n', { apart });
    ends.pass(apart + 60);
    assertSettled(ends, 'n');
    assert.deepEqual([ends.a.told.length, ends.b.told.length], [1, 1]);
  }
});

test('renewals lose no packet: whatever is sealed, however late it comes, the other end still has its keys', () => {
  fc.assert(
    fc.property(seed, faults, offering, (seed, faults, offering) => {
      const ends = new DirectEnds(seed);
      ends.connect('n', { offering: ends[offering] });
      ends.pass(1000);
      ends.faults = faults;
      ends.traffic(173);
      ends.pass(600_000);
      for (const { packets, told } of [ends.a, ends.b]) {
        assert.equal(packets.withoutKeys, 0);
        assert.ok(packets.sent > 1000);
        if (faults.loss < 0.01) assert.equal(told.length, 1, 'up once and for all');
        if (faults.loss === 0) assert.ok(packets.sent - packets.received < 5);
      }
      settle(ends);
      assertSettled(ends, 'n');
      const { generation } = ends.a.direct.keypairs.renewals.get('n')!;
      assert.ok(generation >= 4, `${generation}`);
    }),
    { numRuns: 60 },
  );
});

const trouble = fc.record({
  wait: fc.integer({ min: 100, max: 90_000 }),
  what: fc.constantFrom(
    'reconnect' as const,
    'disconnect' as const,
    'deafen a' as const,
    'deafen b' as const,
    'heal' as const,
  ),
  offering,
  apart: fc.integer({ min: 0, max: 400 }),
});

test('whatever happens to connections and records, both ends end up with the same newest keys, and none too many', () => {
  fc.assert(
    fc.property(seed, faults, fc.array(trouble, { maxLength: 12 }), (seed, faults, troubles) => {
      const ends = new DirectEnds(seed, faults);
      let connections = 0;
      const reconnect = (offering: DirectEnd, apart: number) =>
        ends.connect(`n${++connections}`, { offering, apart });
      reconnect(ends.a, 0);
      ends.traffic(311);
      for (const { wait, what, offering, apart } of troubles) {
        ends.pass(wait);
        if (what === 'reconnect') reconnect(ends[offering], apart);
        else if (what === 'disconnect') ends.disconnect(`n${connections}`);
        else if (what === 'heal') ends.deaf.clear();
        else ends.deaf.add(what === 'deafen a' ? ends.a : ends.b);
      }
      reconnect(ends.b, 30);
      settle(ends);
      assertSettled(ends, `n${connections}`);
    }),
    { numRuns: 150 },
  );
});

test('a new connection while the path is up changes its keys without a break', () => {
  fc.assert(
    fc.property(seed, fc.integer({ min: 0, max: 300 }), offering, (seed, apart, offering) => {
      const ends = new DirectEnds(seed, { loss: 0, delay: [5, 60] });
      ends.connect('n0');
      ends.pass(1000);
      ends.traffic(7);
      for (let i = 1; i <= 5; i++) {
        ends.connect(`n${i}`, { apart, offering: ends[offering] });
        ends.pass(2000);
        assertSettled(ends, `n${i}`);
      }
      for (const { packets, told } of [ends.a, ends.b]) {
        assert.deepEqual([packets.withoutKeys, told.length], [0, 1]);
        assert.ok(packets.sent - packets.received < 20, 'what is under way');
      }
    }),
    { numRuns: 60 },
  );
});

test('a path that is dead in one direction is given up at both ends, three seconds after it died', () => {
  for (const deaf of ['a', 'b'] as const) {
    const ends = new DirectEnds(1, reliable);
    ends.connect('n');
    ends.traffic(20);
    ends.pass(10_000);
    ends.deaf.add(ends[deaf]);
    ends.pass(7000);
    for (const { direct, told } of [ends.a, ends.b]) {
      assert.equal(direct.phase, 'trying');
      assert.equal(told.length, 2);
    }
    const last = Math.max(ends.a.told.at(-1)!.at, ends.b.told.at(-1)!.at);
    assert.ok(last <= 13_000, `${last}`);
    settle(ends);
    assertSettled(ends, 'n');
  }
});

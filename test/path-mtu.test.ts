import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { confirmed, newPathMtu, nextDeadline, step } from '../dataplane/core/path-mtu.ts';
import { longestLie, SimulatedPath } from './simulated-path.ts';

const mtuOfAPath = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1280, max: 1500 }) },
  { weight: 3, arbitrary: fc.integer({ min: 1280, max: 9216 }) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(1280, 1281, 1287, 1288, 1289, 1420, 1492, 1500, 9000, 9216, 65_535),
  },
);
const limitOf = fc.constantFrom(1500, 9000, 9216, 65_535);

test('the first round asks for the base, the commonest sizes and the limit, all at once', () => {
  const path = new SimulatedPath({ limit: 1500, mtu: () => 1500 });
  path.run(0);
  assert.deepEqual(
    path.probes.map(({ bytes }) => bytes),
    [1280, 1400, 1500],
  );
  assert.equal(confirmed(path.state), 1280);
});

test('a path that takes what its interface does is known after one round trip', () => {
  for (const limit of [1500, 9000, 9216, 65_535, 70_000]) {
    const path = new SimulatedPath({ limit, mtu: () => limit, rtt: 20 });
    path.run(20);
    assert.equal(confirmed(path.state), Math.min(limit, 65_535));
  }
});

test('common sizes are found to the byte, also where longer ones vanish', () => {
  for (const mtu of [1400, 1420, 1440, 1460, 1480, 1492, 1500, 8900, 9000]) {
    const path = new SimulatedPath({ limit: 9216, mtu: () => mtu });
    assert.ok(path.run(2000, () => path.state.phase.name === 'settled'));
    assert.equal(confirmed(path.state), mtu);
  }
});

test('an interface that takes no more than the base is not asked for more, and the base is taken to pass', () => {
  for (const limit of [576, 1280]) {
    const path = new SimulatedPath({ limit, mtu: () => 0 });
    path.run(60_000);
    assert.equal(confirmed(path.state), 1280);
    assert.ok(path.probes.every(({ bytes }) => bytes === 1280));
  }
});

test('a path without loss: found in a second, never above what passes, and then quiet', () => {
  fc.assert(
    fc.property(
      mtuOfAPath,
      limitOf,
      fc.integer({ min: 1, max: 60 }),
      fc.boolean(),
      fc.integer(),
      (mtu, limit, rtt, measured, seed) => {
        const path = new SimulatedPath({ limit, mtu: () => mtu, rtt, jitter: rtt / 4, measured, seed });
        assert.ok(
          path.run(1100, () => path.state.phase.name === 'settled'),
          `${path.now} ms`,
        );
        assert.ok(path.converged, `${confirmed(path.state)} of ${mtu}`);
        const sizes = path.probes.map(({ bytes }) => bytes);
        assert.ok(sizes.length <= 64, `${sizes.length} probes`);
        const lost = sizes.filter((bytes) => bytes > mtu);
        const times = lost.filter((bytes) => bytes === Math.min(...lost)).length;
        assert.equal(times, lost.length === 0 ? 0 : 3, 'the suspect is asked for three times');
        path.run(path.now + 800);
        assert.equal(path.probes.length, sizes.length);
        path.run(700_000);
        const claims = path.claims.map(({ bytes }) => bytes);
        assert.deepEqual(
          claims,
          [...new Set(claims)].sort((a, b) => a - b),
        );
        assert.ok(claims.at(-1)! <= mtu);
      },
    ),
    { numRuns: 200 },
  );
});

test('a slow path takes rounds of its own length, and no longer', () => {
  for (const rtt of [100, 300, 700, 1500, 2500]) {
    const path = new SimulatedPath({ limit: 1500, mtu: () => 1433, rtt, measured: false });
    assert.ok(
      path.run(15 * Math.max(rtt, 100) + 3000, () => path.state.phase.name === 'settled'),
      `${rtt}`,
    );
    assert.ok(path.converged);
  }
});

test('losses of up to 5 % each way and probes that overtake each other do not keep the search from its end', () => {
  fc.assert(
    fc.property(
      mtuOfAPath,
      limitOf,
      fc.integer({ min: 1, max: 200 }),
      fc.double({ min: 0, max: 0.05, noNaN: true }),
      fc.integer(),
      (mtu, limit, rtt, loss, seed) => {
        const path = new SimulatedPath({ limit, mtu: () => mtu, rtt, jitter: rtt, loss, seed });
        assert.ok(
          path.run(700_000, () => path.converged),
          `${confirmed(path.state)} of ${mtu}`,
        );
        assert.ok(path.claims.every(({ bytes }) => bytes <= mtu));
      },
    ),
    { numRuns: 500 },
  );
});

test('a path that shrinks: nothing too long is claimed for more than 4 s, and the new size is found 2 s later', () => {
  fc.assert(
    fc.property(
      mtuOfAPath,
      mtuOfAPath,
      limitOf,
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 0, max: 100_000 }),
      (one, other, limit, rtt, change) => {
        const [before, after] = [Math.max(one, other), Math.min(one, other)];
        const mtu = (now: number) => (now < change ? before : after);
        const path = new SimulatedPath({ limit, mtu, rtt });
        path.run(change + 6000);
        assert.ok(longestLie(path, mtu, [change], path.now) <= 4000);
        assert.ok(path.converged, `${confirmed(path.state)} of ${after}`);
      },
    ),
    { numRuns: 200 },
  );
});

test('a path that grows is found to have grown within 10 min', () => {
  fc.assert(
    fc.property(
      mtuOfAPath,
      mtuOfAPath,
      limitOf,
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 0, max: 1_500_000 }),
      (one, other, limit, rtt, change) => {
        const [before, after] = [Math.min(one, other), Math.max(one, other)];
        const mtu = (now: number) => (now < change ? before : after);
        const path = new SimulatedPath({ limit, mtu, rtt });
        path.run(change);
        assert.ok(
          path.run(change + 603_000, () => path.converged),
          `${confirmed(path.state)} of ${after}`,
        );
      },
    ),
    { numRuns: 200 },
  );
});

test('whatever a path does, a claim above what passes ends within 30 s, and each long calm ends in the truth', () => {
  const calm = fc.record({ mtu: mtuOfAPath, length: fc.integer({ min: 1, max: 1_500_000 }) });
  fc.assert(
    fc.property(
      fc.array(calm, { minLength: 1, maxLength: 5 }),
      limitOf,
      fc.integer({ min: 1, max: 200 }),
      fc.double({ min: 0, max: 0.05, noNaN: true }),
      fc.integer(),
      (calms, limit, rtt, loss, seed) => {
        const ends: number[] = [];
        for (const { length } of calms) ends.push((ends.at(-1) ?? 0) + length);
        const mtu = (now: number) =>
          calms[
            Math.max(
              0,
              ends.findIndex((end) => now < end),
            )
          ]!.mtu;
        const path = new SimulatedPath({ limit, mtu, rtt, jitter: rtt, loss, seed });
        for (const [i, end] of ends.entries()) {
          const isLong = calms[i]!.length > 700_000;
          const found = path.run(end - 1, () => isLong && path.converged);
          assert.ok(found || !isLong, `${confirmed(path.state)} of ${calms[i]!.mtu}`);
          path.run(end - 1);
        }
        assert.ok(longestLie(path, mtu, ends.slice(0, -1), path.now) <= 30_000);
      },
    ),
    { numRuns: 100 },
  );
});

test('a black hole: back to the base at once, and a search for what still passes', () => {
  const path = new SimulatedPath({ limit: 9000, mtu: (now) => (now < 5000 ? 9000 : 1420) });
  path.run(15_000);
  const sizes = path.claims.map(({ bytes }) => bytes);
  assert.deepEqual(sizes.slice(sizes.indexOf(9000), sizes.indexOf(9000) + 2), [9000, 1280]);
  assert.equal(sizes.at(-1), 1420);
  const fallAt = path.claims.find(({ at, bytes }) => at > 0 && bytes === 1280)!.at;
  const foundAt = path.claims.find(({ at, bytes }) => at > fallAt && bytes === 1420)!.at;
  assert.ok(fallAt >= 6000 && fallAt <= 7400, `${fallAt}`);
  assert.equal(foundAt, fallAt + 20);
});

test('a confirmed size that was lost three times by chance is back after one round trip', () => {
  const path: SimulatedPath = new SimulatedPath({
    limit: 1500,
    mtu: (now) => (now > 9000 && confirmed(path.state) > 1280 ? 1280 : 1433),
  });
  path.run(9000);
  const before = confirmed(path.state);
  assert.ok(before > 1420);
  assert.ok(path.run(11_000, () => confirmed(path.state) === 1280));
  assert.ok(path.run(path.now + 20, () => confirmed(path.state) === before));
});

test('a path that is silent altogether keeps its size, is asked ever less often, and is searched again when it is back', () => {
  const dead = (now: number) => now >= 5000 && now < 300_000;
  const path = new SimulatedPath({ limit: 9000, mtu: (now) => (dead(now) ? 0 : now < 5000 ? 1492 : 8000) });
  path.run(12_000);
  path.feed({ type: 'active', active: false });
  path.run(299_999);
  assert.equal(confirmed(path.state), 1492);
  const asked = path.probes.map(({ at }) => at).filter((at) => at > 60_000);
  assert.ok(asked.length <= 2 * (240 / 8 + 1), `${asked.length}`);
  for (const [i, at] of asked.entries()) assert.ok(i === 0 || at - asked[i - 1]! <= 8000);
  path.run(300_000);
  path.feed({ type: 'path', limit: 9000 });
  assert.ok(
    path.run(302_000, () => path.converged),
    `${confirmed(path.state)}`,
  );
});

test('a search on a path that is silent finds nothing out, and goes on when it is back', () => {
  const path = new SimulatedPath({ limit: 1500, mtu: (now) => (now < 300_000 ? 0 : 1492) });
  path.run(300_000);
  assert.equal(path.state.phase.name, 'searching');
  assert.equal(path.state.lost.size, 0);
  assert.ok(path.probes.length > 100);
  assert.ok(path.state.past.size <= 64);
  assert.ok(path.run(310_000, () => path.converged));
});

test('another path: its interface limits the claim at once, and what was confirmed must pass again', () => {
  const path = new SimulatedPath({ limit: 9000, mtu: (now) => (now < 1000 ? 9000 : 1400) });
  path.run(1000);
  path.feed({ type: 'path', limit: 1500 });
  assert.equal(confirmed(path.state), 1500);
  path.run(1500);
  assert.equal(confirmed(path.state), 1400);
});

test('answers from the path before prove nothing of the one after', () => {
  const state = newPathMtu({ limit: 1500, rtt: 20 }, 0);
  const asked = (now: number) =>
    step(state, { type: 'tick' }, now).flatMap((effect) => (effect.type === 'probe' ? [effect.number] : []));
  const numbers = [...asked(0), ...asked(nextDeadline(state).at)];
  step(state, { type: 'path', limit: 1500 }, 500);
  for (const number of numbers) assert.deepEqual(step(state, { type: 'answered', number }, 510), []);
  assert.equal(confirmed(state), 1280);
});

test('an answer that comes after its round counts, once', () => {
  const state = newPathMtu({ limit: 1500, rtt: 20 }, 0);
  const numbers = new Map<number, number>();
  for (const effect of step(state, { type: 'tick' }, 0)) {
    if (effect.type === 'probe') numbers.set(effect.bytes, effect.number);
  }
  step(state, { type: 'tick' }, nextDeadline(state).at);
  const late = { type: 'answered', number: numbers.get(1400)! } as const;
  const [effect] = step(state, late, 900);
  assert.deepEqual(effect, { type: 'confirmed', bytes: 1400 });
  const { smoothed } = state.roundTrips;
  assert.deepEqual(step(state, late, 2000), []);
  assert.equal(state.roundTrips.smoothed, smoothed);
});

test('a search that ended goes on with an answer that comes too late for it', () => {
  const path = new SimulatedPath({ limit: 9000, mtu: () => 1433 });
  path.run(2000);
  assert.equal(path.state.phase.name, 'settled');
  const before = confirmed(path.state);
  const [number, { bytes }] = [...path.state.past].find(([, sent]) => sent.bytes > before)!;
  path.feed({ type: 'answered', number });
  assert.equal(confirmed(path.state), bytes);
  assert.equal(path.state.phase.name, 'searching');
  assert.ok(path.probes.some((probe) => probe.at === path.now && probe.bytes > bytes));
});

test('sizes that the kernel refuses count as lost at once', () => {
  for (const takes of [1280, 1300, 1420, 1499]) {
    const path = new SimulatedPath({ limit: 9000, mtu: () => 9000, takes, rtt: 50 });
    assert.ok(
      path.run(60 * 5, () => path.state.phase.name === 'settled'),
      `${takes} at ${path.now} ms`,
    );
    assert.ok(path.converged, `${confirmed(path.state)} of ${takes}`);
  }
});

test('what the kernel refuses is searched within a round', () => {
  const path = new SimulatedPath({ limit: 65_535, mtu: () => 65_535, takes: 1500, rtt: 50 });
  assert.ok(path.run(100, () => path.state.phase.name === 'settled'));
  assert.equal(confirmed(path.state), 1500);
  assert.deepEqual(
    path.probes.flatMap(({ at, bytes }) => (bytes <= 1500 ? [[at, bytes]] : [])),
    [
      [0, 1280],
      [0, 1400],
      [0, 1500],
      [50, 1280],
      [50, 1500],
    ],
  );
});

test('a kernel that refuses even the base is asked ever less often', () => {
  const path = new SimulatedPath({ limit: 1500, mtu: () => 1500, takes: 1200 });
  path.run(60_000);
  assert.equal(path.claims.length, 1);
  assert.ok(path.probes.length <= 15 * 8, `${path.probes.length}`);
});

test('an interface that takes less than what was confirmed: back to the base, and to what it takes', () => {
  const options = { limit: 9000, mtu: () => 9000, takes: 9000 };
  const path = new SimulatedPath(options);
  path.run(1000);
  const state = path.state;
  const now = nextDeadline(state).at;
  const refused = step(state, { type: 'tick' }, now).flatMap((effect) =>
    effect.type === 'probe' && effect.bytes === 9000 ? [effect.number] : [],
  );
  assert.equal(refused.length, 1);
  assert.deepEqual(step(state, { type: 'refused', number: refused[0]! }, now), [
    { type: 'confirmed', bytes: 1280 },
  ]);
  const round = step(state, { type: 'tick' }, nextDeadline(state).at);
  const sizes = round.flatMap((effect) => (effect.type === 'probe' ? [effect.bytes] : []));
  assert.ok(sizes.includes(8900) && !sizes.includes(9000), `${sizes}`);
});

test('a path that shrank and fell quiet over it is known all the same', () => {
  let shrunkAt = Number.POSITIVE_INFINITY;
  const path = new SimulatedPath({ limit: 1500, mtu: (now) => (now < shrunkAt ? 1500 : 1350) });
  path.run(5000);
  assert.equal(confirmed(path.state), 1500);
  shrunkAt = path.now;
  path.run(60_000, () => path.state.misses > 0);
  path.feed({ type: 'active', active: false });
  assert.ok(path.run(path.now + 2000, () => confirmed(path.state) <= 1350));
});

test('an idle path is asked each minute, and at once when it is active again', () => {
  const path = new SimulatedPath({ limit: 1500, mtu: () => 1500 });
  path.run(1500);
  path.feed({ type: 'active', active: false });
  const before = path.probes.length;
  path.run(59_000);
  assert.equal(path.probes.length, before);
  path.run(61_000);
  assert.equal(path.probes.length, before + 2);
  path.run(100_000);
  path.feed({ type: 'active', active: true });
  assert.ok(nextDeadline(path.state).at <= path.now);
  path.run(100_000);
  assert.equal(path.probes.length, before + 4);
});

test('whatever is told in whatever order: sizes stay within their limits, and memory is bounded', () => {
  const event = fc.oneof(
    { weight: 5, arbitrary: fc.record({ type: fc.constant('tick' as const) }) },
    { weight: 5, arbitrary: fc.record({ type: fc.constant('answered' as const), number: fc.nat(300) }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('refused' as const), number: fc.nat(300) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('active' as const), active: fc.boolean() }) },
    {
      weight: 1,
      arbitrary: fc.record({
        type: fc.constant('path' as const),
        limit: fc.integer({ min: 0, max: 70_000 }),
      }),
    },
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(2000), event), { maxLength: 200 }), (events) => {
      const state = newPathMtu({ limit: 9000, rtt: null }, 0);
      let now = 0;
      let last = 0;
      for (const [wait, each] of events) {
        now += wait;
        const limit = each.type === 'path' ? Math.min(65_535, Math.max(1280, each.limit)) : state.limit;
        for (const effect of step(state, each, now)) {
          if (effect.type === 'settled') continue;
          assert.ok(effect.bytes >= 1280 && effect.bytes <= limit);
          if (effect.type !== 'probe') continue;
          assert.equal(effect.number, last + 1);
          last = effect.number;
        }
        assert.ok(confirmed(state) >= 1280 && confirmed(state) <= limit);
        assert.ok([...state.lost.keys()].every((size) => size > confirmed(state)));
        assert.ok(state.past.size <= 64 && (state.round?.waiting.size ?? 0) <= 16 && state.lost.size <= 100);
        if (each.type === 'tick') assert.ok(nextDeadline(state).at > now, 'time stands still');
      }
    }),
    { numRuns: 500 },
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { begin, leastMtu, newAgreedMtu, nextDeadline, step } from '../dataplane/core/agreed-mtu.ts';
import { type LinkEnd, LinkEnds } from './link-ends.ts';

function connected(...options: ConstructorParameters<typeof LinkEnds>): LinkEnds {
  const ends = new LinkEnds(...options);
  ends.connect();
  ends.pass(100);
  return ends;
}

const steps = ({ mtus }: LinkEnd) => mtus.map(({ mtu }) => mtu);
const mtusOf = (ends: LinkEnds) => [ends.mtuOf(ends.a), ends.mtuOf(ends.b)];

test('directions of 1440 and 1340 bytes make interfaces of 1340 at both ends, in one step', () => {
  const ends = connected([{}, {}]);
  ends.fits(ends.a, 1440);
  ends.pass(3000);
  assert.deepEqual(mtusOf(ends), [1280, 1280], 'the other end has not found more');
  ends.fits(ends.b, 1340);
  ends.pass(60_000);
  assert.deepEqual(
    [steps(ends.a), steps(ends.b)],
    [
      [1280, 1340],
      [1280, 1340],
    ],
  );
});

test('a direction that carries less lowers both ends within the time of a message, and both rise together', () => {
  const ends = connected([{}, {}]);
  for (const end of [ends.a, ends.b]) ends.fits(end, 1440);
  ends.pass(2000);
  ends.fits(ends.b, 1340);
  assert.deepEqual(mtusOf(ends), [1440, 1340]);
  ends.pass(ends.delay);
  assert.deepEqual(mtusOf(ends), [1340, 1340]);
  ends.pass(600_000);
  ends.fits(ends.b, 1440);
  ends.pass(ends.delay);
  assert.deepEqual(mtusOf(ends), [1440, 1440]);
});

test('a search that falls to the base and finds the size within its time is no step at all, one that finds less a single one', () => {
  const ends = connected([{}, {}]);
  for (const end of [ends.a, ends.b]) ends.fits(end, 1440);
  ends.pass(2000);
  ends.fits(ends.a, 1220, true);
  ends.pass(300);
  ends.fits(ends.a, 1440, true);
  ends.pass(5000);
  ends.fits(ends.a, 1220, true);
  ends.pass(300);
  ends.fits(ends.a, 1340, true);
  ends.pass(300);
  ends.fits(ends.a, 1347, false);
  ends.pass(60_000);
  for (const end of [ends.a, ends.b]) assert.deepEqual(steps(end), [1280, 1440, 1347]);
});

test('a search that does not end counts after a while with what it has found', () => {
  const ends = connected([{}, {}]);
  ends.fits(ends.b, 1440);
  ends.fits(ends.a, 1340, true);
  ends.pass(4900);
  assert.deepEqual(mtusOf(ends), [1280, 1280]);
  ends.pass(200);
  assert.deepEqual(mtusOf(ends), [1340, 1340]);
  ends.pass(60_000);
  ends.fits(ends.a, 1300, true);
  ends.pass(1000 + ends.delay);
  assert.deepEqual(mtusOf(ends), [1300, 1300]);
});

test('connections that end and come back change nothing that both ends still carry', () => {
  const ends = connected([{}, {}]);
  for (const end of [ends.a, ends.b]) ends.fits(end, 1440);
  ends.pass(2000);
  for (let i = 0; i < 5; i++) {
    ends.disconnect('shared');
    ends.pass(3000);
    ends.connect();
    ends.connect('relay');
    ends.pass(3000);
  }
  for (const end of [ends.a, ends.b]) assert.deepEqual(steps(end), [1280, 1440]);
});

test('a number that is given is the offer of its end; two of them are never changed', () => {
  const fixed = connected([
    { mtu: 1400, autoMtu: false },
    { mtu: 1360, autoMtu: false },
  ]);
  fixed.fits(fixed.a, 1300);
  fixed.pass(60_000);
  for (const end of [fixed.a, fixed.b]) assert.deepEqual(steps(end), [1360]);

  const one = connected([{ mtu: 1400, autoMtu: false }, {}]);
  assert.deepEqual(mtusOf(one), [1280, 1280]);
  one.fits(one.b, 1440);
  one.pass(60_000);
  for (const end of [one.a, one.b]) assert.deepEqual(steps(end), [1280, 1400]);
});

test('a peer that makes no offers leaves our interface to what our own direction carries, up to its limit', () => {
  const ends = connected([{}, { mtu: 1420 }], { silent: true });
  ends.fits(ends.a, 1340);
  ends.pass(100);
  assert.deepEqual(mtusOf(ends), [1340, 1280]);
  ends.pass(5000);
  ends.fits(ends.a, 1440);
  ends.pass(100);
  assert.equal(ends.mtuOf(ends.a), 1420);
});

test('whatever a peer offers, as often as it likes: from 1280 to our own, and a few changes in a minute', () => {
  const offers = fc.array(fc.tuple(fc.integer({ min: 1280, max: 65_531 }), fc.nat(400)), { maxLength: 300 });
  const alternating = Array.from({ length: 600 }, (_, i): [number, number] => [i % 2 ? 1500 : 1280, 100]);
  const falling = Array.from({ length: 200 }, (_, i): [number, number] => [1480 - i, 50]);
  const rising = Array.from({ length: 200 }, (_, i): [number, number] => [1281 + i, 200]);
  fc.assert(
    fc.property(offers, (made) => {
      const state = newAgreedMtu(1500, 1280);
      begin(state, 1500);
      let now = 0;
      const changes: number[] = [];
      const feed = (event: Parameters<typeof step>[1]) => {
        for (const effect of step(state, event, now)) if (effect.type === 'set') changes.push(now);
        assert.ok(state.mtu >= leastMtu && state.mtu <= 1440 && state.offer <= 1440, `${state.mtu}`);
        assert.ok(state.mtu <= state.theirs, 'more than the peer takes');
      };
      feed({ type: 'found', bytes: 1440, searching: false });
      for (const [bytes, wait] of made) {
        for (let at = nextDeadline(state); at !== undefined && at <= now + wait; at = nextDeadline(state)) {
          assert.ok(at >= now);
          now = at;
          feed({ type: 'tick' });
        }
        now += wait;
        feed({ type: 'offered', bytes });
      }
      for (const from of changes) {
        const within = changes.filter((at) => at >= from && at < from + 60_000).length;
        assert.ok(within <= 10, `${within} changes in a minute`);
      }
    }),
    { numRuns: 300, examples: [[alternating], [falling], [rising]] },
  );
});

/** What an end may have at a time: the lower of both offers, either of which may be as old as a message takes. */
class Offers {
  readonly #history: { readonly at: number; readonly a: number; readonly b: number }[] = [];

  note(ends: LinkEnds): void {
    const offer = ({ links }: LinkEnd) => links.byPeer.get('p')!.mtu.offer;
    this.#history.push({ at: ends.now, a: offer(ends.a), b: offer(ends.b) });
  }

  most(now: number, age: number): number {
    const first = this.#history.findLastIndex(({ at }) => at <= now - age);
    const recent = this.#history.slice(Math.max(0, first));
    return Math.min(Math.max(...recent.map(({ a }) => a)), Math.max(...recent.map(({ b }) => b)));
  }
}

test('however messages are delayed and lost with their connections, both ends come to the same, and neither has more than both offered a message ago', () => {
  const happening = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        what: fc.constant('fits' as const),
        end: fc.boolean(),
        bytes: fc.integer({ min: 1200, max: 1600 }),
        searching: fc.boolean(),
      }),
    },
    { weight: 1, arbitrary: fc.record({ what: fc.constant('connect' as const), relay: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ what: fc.constant('disconnect' as const), relay: fc.boolean() }) },
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(happening, fc.nat(3000)), { maxLength: 40 }),
      fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
      fc.boolean(),
      (happenings, chances, fixed) => {
        const chance = () => chances.next().value as number;
        const ends = new LinkEnds([fixed ? { mtu: 1420, autoMtu: false } : {}, { mtu: 1460 }], {
          chance,
          delay: 50,
        });
        ends.connect();
        const offers = new Offers();
        const carries = { a: fixed ? 1420 : 1280, b: 1280 };
        const clamp = (bytes: number, limit: number) => Math.max(1280, Math.min(bytes, limit));
        const live = (milliseconds: number) => {
          for (let passed = 0; passed < milliseconds; passed += 5) {
            offers.note(ends);
            ends.pass(5);
            offers.note(ends);
            for (const end of [ends.a, ends.b]) {
              const mtu = ends.mtuOf(end);
              if (mtu === undefined || !connectedLong()) continue;
              assert.ok(mtu <= offers.most(ends.now, ends.delay + 5), `${mtu} at ${ends.now}`);
            }
          }
        };
        let connectedAt = ends.now;
        // A connection carries once each end has said hello and is ready: two messages, one after the other.
        const connectedLong = () => ends.now - connectedAt > 2 * ends.delay + 5;
        for (const [each, wait] of happenings) {
          const route = 'relay' in each && each.relay ? 'relay' : 'shared';
          if (each.what === 'fits') {
            const end = each.end ? ends.a : ends.b;
            ends.fits(end, each.bytes, each.searching);
            if (each.end && !fixed) carries.a = clamp(each.bytes, 1500);
            if (!each.end) carries.b = clamp(each.bytes, 1460);
          } else {
            if (each.what === 'connect') ends.connect(route);
            else ends.disconnect(route);
            connectedAt = each.what === 'connect' ? ends.now : Number.POSITIVE_INFINITY;
          }
          live(wait);
        }
        ends.connect();
        connectedAt = ends.now;
        // Whatever searches found counts by then, and no hold is left.
        ends.fits(ends.a, carries.a);
        ends.fits(ends.b, carries.b);
        ends.pass(600_000);
        // What was found before there was an interface is not known to it.
        const agreed = Math.min(carries.a, carries.b);
        ends.fits(ends.a, carries.a);
        ends.fits(ends.b, carries.b);
        ends.pass(600_000);
        assert.deepEqual(mtusOf(ends), [agreed, agreed]);
        const before = ends.messages;
        ends.pass(600_000);
        assert.equal(ends.messages, before, 'there is an end to what they say');
      },
    ),
    { numRuns: 150 },
  );
});

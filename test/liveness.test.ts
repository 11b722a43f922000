import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type Liveness,
  type LivenessEffect,
  measure,
  newLiveness,
  nextDeadline,
  type Packets,
  patience,
  quality,
  type RoundTrips,
  step,
} from '../dataplane/core/liveness.ts';

/** A path in virtual time. All times in milliseconds. */
interface Path {
  /** What each probe that is sent at `now` comes back after; null where it does not. */
  readonly answer: (now: number, number: number) => number | null;
  /** What was sent and received until `now`. */
  readonly packets: (now: number) => Packets;
}

const silence = (): Packets => ({ sent: 0, received: 0 });
/** A packet each 10 ms each way; none is received after `death`. */
const flow =
  (death = Number.POSITIVE_INFINITY) =>
  (now: number): Packets => ({
    sent: Math.floor(now / 10),
    received: Math.floor(Math.min(now, death) / 10),
  });

/** What happens until `end`: `[time, what]`. Answers are told when they come, as an event. */
function run(path: Path, end: number, state: Liveness = newLiveness(0)) {
  const log: [number, string][] = [];
  const answers: { at: number; number: number; rtt: number }[] = [];
  const take = (now: number, effects: readonly LivenessEffect[]) => {
    for (const effect of effects) {
      log.push([now, effect.type === 'probe' ? `probe ${effect.number}` : effect.type]);
      if (effect.type !== 'probe') continue;
      const rtt = path.answer(now, effect.number);
      if (rtt !== null) answers.push({ at: now + rtt, number: effect.number, rtt });
    }
    answers.sort((a, b) => a.at - b.at);
  };
  for (;;) {
    const deadline = nextDeadline(state).at;
    const answer = answers[0];
    const now = Math.min(deadline, answer?.at ?? deadline);
    if (now > end) return { state, log };
    if (answer !== undefined && answer.at === now) {
      answers.shift();
      take(now, step(state, { type: 'answered', number: answer.number, rtt: answer.rtt }, now));
    } else {
      take(now, step(state, { type: 'tick', ...path.packets(now) }, now));
      assert.ok(nextDeadline(state).at > now, 'time stands still');
    }
  }
}

const changes = (log: readonly [number, string][]) => log.filter(([, what]) => !what.startsWith('probe'));
const probes = (log: readonly [number, string][], from = 0, to = Number.POSITIVE_INFINITY) =>
  log.flatMap(([at, what]) => (what.startsWith('probe') && at >= from && at <= to ? [at] : []));

test('a path is probed at once, and alive with the first answer', () => {
  const { log } = run({ answer: () => 20, packets: silence }, 100);
  assert.deepEqual(log, [
    [0, 'probe 1'],
    [20, 'alive'],
  ]);
});

test('a path that nobody answers on is tried each second, and is not lost: it never was alive', () => {
  const { log } = run({ answer: () => null, packets: silence }, 5000);
  assert.deepEqual(probes(log), [0, 1000, 2000, 3000, 4000, 5000]);
  assert.deepEqual(changes(log), []);
});

test('an active path is probed each 800 ms, an idle one each 25 s', () => {
  const active = run({ answer: () => 20, packets: flow() }, 8000);
  assert.deepEqual(probes(active.log, 800), [800, 1600, 2400, 3200, 4000, 4800, 5600, 6400, 7200, 8000]);
  const idle = run({ answer: () => 20, packets: silence }, 80_000);
  assert.deepEqual(probes(idle.log), [0, 25_000, 50_000, 75_000]);
});

test('an idle path that begins to send or to receive is probed at the next look', () => {
  for (const which of ['sent', 'received']) {
    const packets = (now: number) => ({ ...silence(), [which]: now < 10_100 ? 0 : 1 });
    const { log } = run({ answer: () => 20, packets }, 40_000);
    const [, at] = probes(log);
    assert.ok(at! > 10_100 && at! <= 10_500, `${at}`);
    assert.deepEqual(probes(log).slice(2), [at! + 25_000], 'one packet makes one probe');
  }
});

test('three probes unanswered and nothing heard: lost, and probed each second until three answers in a row', () => {
  const answer = (now: number) => (now >= 8000 && now < 20_000 ? null : 20);
  const { log } = run({ answer, packets: flow(8000) }, 24_000);
  const [alive, lost, again, ...more] = changes(log);
  assert.deepEqual(alive, [20, 'alive']);
  assert.equal(lost![1], 'lost');
  assert.ok(lost![0] > 8000 + 1600 && lost![0] <= 11_000, `${lost}`);
  const since = probes(log, lost![0] + 1, 20_000);
  for (const [i, at] of since.entries()) if (i > 0) assert.equal(at - since[i - 1]!, 1000);
  const answered = probes(log, 20_000);
  assert.deepEqual(again, [answered[2]! + 20, 'alive']);
  assert.deepEqual(more, []);
});

test('a lost path on which every third probe is lost stays lost', () => {
  const answer = (now: number, number: number) => {
    if (now < 5000) return 20;
    return now < 10_000 || number % 3 === 0 ? null : 20;
  };
  const { log } = run({ answer, packets: flow(5000) }, 60_000);
  assert.deepEqual(
    changes(log).map(([, what]) => what),
    ['alive', 'lost'],
  );
});

test('answers to probes from before the loss do not bring a path back', () => {
  const answer = (now: number) => (now < 4000 ? 20 : now < 6400 ? 6500 - now : null);
  const { log, state } = run({ answer, packets: flow(4000) }, 20_000);
  const [, lost, ...rest] = changes(log);
  assert.equal(lost![1], 'lost');
  const late = state.probes.filter(({ answer }) => typeof answer === 'number' && answer > 20);
  assert.equal(late.length, 3);
  assert.ok(late.every(({ sentAt }) => sentAt <= lost![0]));
  assert.deepEqual(rest, []);
});

test('packets that arrive are life: a path whose probes are lost while it receives is not lost', () => {
  const answer = (now: number) => (now < 2000 ? 20 : null);
  assert.deepEqual(changes(run({ answer, packets: flow() }, 30_000).log), [[20, 'alive']]);
});

test('a path whose peer is not answered is lost, alive as it may look here, until three answers in a row', () => {
  const { state } = run({ answer: () => 20, packets: flow() }, 5000);
  assert.deepEqual(step(state, { type: 'unheard' }, 5000), [{ type: 'lost' }]);
  assert.deepEqual(step(state, { type: 'unheard' }, 5001), []);
  const [[at, what]] = changes(run({ answer: () => 20, packets: flow() }, 15_000, state).log) as [
    [number, string],
  ];
  assert.equal(what, 'alive');
  assert.ok(at > 7000 && at < 9500, `${at}`);
});

test('packets that are only sent are none: a path that is dead one way is lost', () => {
  const answer = (now: number) => (now < 2000 ? 20 : null);
  const packets = (now: number) => ({ sent: Math.floor(now / 10), received: 0 });
  assert.equal(changes(run({ answer, packets }, 5000).log).at(-1)?.[1], 'lost');
});

test('an idle path that dies is lost soon after the first probe that is not answered', () => {
  const answer = (now: number) => (now < 30_000 ? 20 : null);
  const lost = changes(run({ answer, packets: silence }, 60_000).log).at(-1)!;
  assert.equal(lost[1], 'lost');
  assert.ok(lost[0] > 50_000 && lost[0] <= 53_000, `${lost}`);
});

test('an idle path that is doubted is lost within 4 s where the peer is gone, and else is probed once more', () => {
  for (const gone of [true, false]) {
    const path: Path = { answer: (now) => (gone && now > 30_000 ? null : 20), packets: silence };
    const { state } = run(path, 30_000);
    step(state, { type: 'doubted' }, 30_000);
    const { log } = run(path, 60_000, state);
    if (gone) {
      const lost = log.find(([, what]) => what === 'lost');
      assert.ok(lost !== undefined && lost[0] < 34_000, `${lost}`);
    } else {
      assert.ok(!log.some(([, what]) => what === 'lost'));
      assert.equal(log.length, 2, JSON.stringify(log));
    }
  }
});

test('an answer that comes late is an answer: a path whose delay grows is not lost for it', () => {
  const answer = (now: number) => (now < 10_000 ? 20 : 900);
  const { log, state } = run({ answer, packets: (now) => ({ sent: now, received: 0 }) }, 60_000);
  assert.deepEqual(changes(log), [[20, 'alive']]);
  assert.equal(quality(state).lossPercent, 0);
});

test('an answer is counted once, and one to a probe that was never sent not at all', () => {
  const state = newLiveness(0);
  step(state, { type: 'tick', ...silence() }, 0);
  assert.deepEqual(step(state, { type: 'answered', number: 2, rtt: 5 }, 10), []);
  assert.deepEqual(step(state, { type: 'answered', number: 1, rtt: 10 }, 10), [{ type: 'alive' }]);
  assert.deepEqual(step(state, { type: 'answered', number: 1, rtt: 500 }, 500), []);
  assert.deepEqual(quality(state), { rtt: 10, minimum: 10, lossPercent: 0, ended: 1 });
});

test('there is nothing to tell of a path before it answers', () => {
  assert.deepEqual(quality(newLiveness(0)), { rtt: null, minimum: null, lossPercent: null, ended: 0 });
});

test('the round-trip time is smoothed as in RFC 6298', () => {
  const trips: RoundTrips = { smoothed: null, variation: 0 };
  assert.equal(patience(trips, 100, 3000), 3000);
  const seen = [100, 200, 60].map((rtt) => {
    measure(trips, rtt);
    return [trips.smoothed, trips.variation, patience(trips, 100, 3000)];
  });
  assert.deepEqual(seen, [
    [100, 50, 300],
    [112.5, 62.5, 362.5],
    [105.9375, 60, 345.9375],
  ]);
  for (let i = 0; i < 100; i++) measure(trips, 20);
  assert.equal(patience(trips, 100, 3000), 100);
  measure(trips, 60_000);
  assert.equal(patience(trips, 100, 3000), 3000);
});

test('loss is that of the last hundred probes, minimum theirs too', () => {
  const answer = (now: number, number: number) => (number % 10 === 0 ? null : now < 400_000 ? 20 : 40);
  const early = quality(run({ answer, packets: flow() }, 200_000).state);
  assert.ok(Math.abs(early.lossPercent! - 10) <= 1, `${early.lossPercent}`);
  assert.equal(early.minimum, 20);
  const late = quality(run({ answer, packets: flow() }, 500_000).state);
  assert.equal(late.minimum, 40);
  assert.ok(Math.abs(late.rtt! - 40) < 0.01);
  const clean = (now: number, number: number) => (now < 100_000 ? answer(now, number) : 20);
  assert.equal(quality(run({ answer: clean, packets: flow() }, 200_000).state).lossPercent, 0);
});

/** A number in [0, 1) that depends on nothing but `seed` and `number`. */
function chance(seed: number, number: number): number {
  let x = Math.imul(seed ^ Math.imul(number, 0x9e3779b1), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return ((x ^ (x >>> 16)) >>> 0) / 2 ** 32;
}

const rtt = fc.integer({ min: 1, max: 150 });
const seed = fc.integer();

test('any path that dies while packets are sent is lost within 3 s, and alive within 4 s of its return', () => {
  const death = fc.integer({ min: 6000, max: 60_000 });
  const outage = fc.integer({ min: 4000, max: 60_000 });
  /** Whether packets were sent all along, or begin only where the path dies. */
  const busyBefore = fc.boolean();
  fc.assert(
    fc.property(rtt, seed, death, outage, busyBefore, (base, seed, death, outage, busyBefore) => {
      const back = death + outage;
      const delay = (number: number) => base * (1 + chance(seed, number) / 4);
      const { log } = run(
        {
          answer: (now, number) => (now >= death - base && now < back ? null : delay(number)),
          packets: (now) =>
            busyBefore ? flow(death)(now) : { sent: Math.max(0, Math.floor(now - death)), received: 0 },
        },
        back + 10_000,
      );
      const [, lost, again, ...more] = changes(log);
      assert.ok(lost?.[1] === 'lost' && lost[0] > death && lost[0] <= death + 3000, `${lost}`);
      assert.ok(again?.[1] === 'alive' && again[0] >= back && again[0] <= back + 4000, `${again}`);
      assert.deepEqual(more, []);
    }),
    { numRuns: 300 },
  );
});

test('no path is lost that answers, however idle, slow and uneven, and none is probed more than it needs', () => {
  const path = fc.record({
    base: fc.integer({ min: 1, max: 700 }),
    /** Milliseconds between bursts of packets; 0 for none. */
    pause: fc.constantFrom(0, 50, 3000, 20_000, 40_000),
    jitter: fc.double({ min: 0, max: 0.5, noNaN: true }),
    seed,
  });
  fc.assert(
    fc.property(path, ({ base, pause, jitter, seed }) => {
      const delay = (number: number) => base * (1 + jitter * chance(seed, number));
      const packets = (now: number) => {
        const count = pause === 0 ? 0 : Math.floor(now / pause);
        return { sent: count, received: count };
      };
      const { log, state } = run({ answer: (_, number) => delay(number), packets }, 120_000);
      const firstAnswer = base * (1 + jitter * chance(seed, 1));
      assert.deepEqual(changes(log), [[firstAnswer, 'alive']]);
      const sent = probes(log);
      for (const [i, at] of sent.entries()) if (i > 0) assert.ok(at - sent[i - 1]! >= 800);
      if (pause === 0 && base * (1 + jitter) <= 400) assert.equal(sent.length, 5);
      assert.ok(quality(state).minimum! >= base);
    }),
    { numRuns: 200 },
  );
});

test('whatever is told in whatever order: numbers rise, loss is a percentage, alive and lost take turns', () => {
  const event = fc.oneof(
    fc.record({
      type: fc.constant('tick' as const),
      wait: fc.integer({ min: 0, max: 5000 }),
      sent: fc.nat(3),
      received: fc.nat(3),
    }),
    fc.record({
      type: fc.constant('answered' as const),
      wait: fc.nat(50),
      number: fc.nat(40),
      rtt: fc.nat(5000),
    }),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 200 }), (events) => {
      const state = newLiveness(0);
      let now = 0;
      let number = 0;
      let last = '';
      for (const { wait, ...each } of events) {
        now += wait;
        for (const effect of step(state, each, now)) {
          if (effect.type === 'probe') {
            assert.equal(effect.number, ++number);
          } else {
            assert.equal(effect.type, last === 'alive' ? 'lost' : 'alive');
            last = effect.type;
          }
        }
        if (each.type === 'tick') assert.ok(nextDeadline(state).at > now);
        const { lossPercent, minimum } = quality(state);
        assert.ok(lossPercent === null || (lossPercent >= 0 && lossPercent <= 100));
        assert.ok(minimum === null || minimum >= 0);
        assert.ok(state.probes.length <= 100);
      }
    }),
    { numRuns: 500 },
  );
});

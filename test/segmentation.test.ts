import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  newSegmentation,
  nextDeadline,
  type SegmentationEffect,
  type SegmentationEvent,
  step,
} from '../dataplane/core/segmentation.ts';

/** What becomes of records on their way, as shares that are lost. */
interface Fate {
  readonly together: number;
  readonly singly: number;
}

/** A path with a flow in virtual time: each 0.8 s a probe, and its answer. */
class Flow {
  readonly state = newSegmentation();
  now = 0;
  on = true;
  known = false;
  /** When records were told to leave together, or not. */
  readonly switches: { readonly at: number; readonly on: boolean }[] = [];
  #number = 0;
  #sealed = 0;
  #segmented = 0;
  #opened = 0;
  fate: Fate;
  /** A record of full length passes. */
  full = true;
  /** Records in 0.8 s that would leave together, and that leave singly anyway. */
  rate: { readonly together: number; readonly singly: number };

  constructor(fate: Fate, rate = { together: 60, singly: 200 }) {
    this.fate = fate;
    this.rate = rate;
  }

  feed(event: SegmentationEvent): void {
    for (const effect of step(this.state, event, this.now)) this.#run(effect);
  }

  pass(milliseconds: number): void {
    for (const end = this.now + milliseconds; this.now < end; this.now += 800) {
      this.feed({ type: 'tick' });
      const together = this.on ? this.rate.together : 0;
      const singly = this.rate.singly + (this.on ? 0 : this.rate.together);
      this.#sealed += together + singly;
      this.#segmented += together;
      this.#opened += together * (1 - this.fate.together) + singly * (1 - this.fate.singly);
      const number = ++this.#number;
      this.feed({ type: 'asked', number, sealed: this.#sealed, segmented: this.#segmented });
      const fullAt = this.full ? this.now : Number.NEGATIVE_INFINITY;
      this.feed({ type: 'answered', number, opened: Math.round(this.#opened), fullAt });
    }
  }

  #run(effect: SegmentationEffect): void {
    if (effect.type === 'vanish') {
      assert.notEqual(this.known, effect.known, 'only changes are told');
      this.known = effect.known;
    } else {
      assert.notEqual(this.on, effect.on, 'only changes are made');
      this.on = effect.on;
      this.switches.push({ at: this.now, on: effect.on });
    }
  }
}

test('records that vanish where they leave together leave singly within four seconds, and it is known', () => {
  for (const rate of [
    { together: 60, singly: 200 },
    { together: 8, singly: 250 },
    { together: 5000, singly: 0 },
    { together: 40, singly: 2 },
  ]) {
    const flow = new Flow({ together: 1, singly: 0.001 }, rate);
    flow.pass(rate.together < 32 ? 8000 : 4000);
    assert.deepEqual([flow.on, flow.known], [false, true], JSON.stringify(rate));
  }
});

test('they leave together again after a minute, and where that fails after twice as long; where it works, all is well', () => {
  const flow = new Flow({ together: 1, singly: 0 });
  flow.pass(200_000);
  const pauses = flow.switches.flatMap(({ at, on }, i) => (on ? [at - flow.switches[i - 1]!.at] : []));
  assert.ok(pauses[0]! >= 60_000 && pauses[0]! <= 64_000, `${pauses}`);
  assert.ok(pauses[1]! >= 120_000 && pauses[1]! <= 124_000, `${pauses}`);
  const tried = flow.switches.flatMap(({ at, on }, i) => (on ? [] : [at - (flow.switches[i - 1]?.at ?? 0)]));
  assert.ok(
    tried.slice(1).every((time) => time <= 2400),
    `${tried}`,
  );
  assert.ok(flow.known, 'and stays known meanwhile');
  flow.fate = { together: 0, singly: 0 };
  flow.pass(300_000);
  assert.deepEqual([flow.on, flow.known], [true, false]);
});

test('a path that loses what it loses whatever way it leaves is none that is to blame', () => {
  for (const [fate, rate] of [
    [
      { together: 0.01, singly: 0.01 },
      { together: 40, singly: 20_000 },
    ],
    [
      { together: 0.3, singly: 0.3 },
      { together: 500, singly: 500 },
    ],
    [
      { together: 0.95, singly: 0.95 },
      { together: 500, singly: 50 },
    ],
    [
      { together: 0, singly: 0 },
      { together: 5000, singly: 0 },
    ],
  ] as const) {
    const flow = new Flow(fate, rate);
    flow.pass(600_000);
    assert.equal(flow.known, false, JSON.stringify([fate, rate]));
    assert.ok(flow.on);
    assert.ok(flow.switches.length <= 10, `looked ${flow.switches.length / 2} times`);
  }
});

test('a path that has become too narrow is none either: nothing of full length passes', () => {
  const flow = new Flow({ together: 1, singly: 0 });
  flow.full = false;
  flow.pass(10_000);
  assert.deepEqual(flow.switches, []);
  flow.feed({ type: 'length' });
  flow.full = true;
  flow.fate = { together: 0, singly: 0 };
  flow.pass(10_000);
  assert.deepEqual(flow.switches, []);
});

test('another path is tried at once; a peer that does not count is never suspected, nor one that starts anew', () => {
  const flow = new Flow({ together: 1, singly: 0 });
  flow.pass(5000);
  flow.fate = { together: 0, singly: 0 };
  flow.feed({ type: 'path' });
  assert.ok(flow.on);
  flow.pass(5000);
  assert.equal(flow.known, false);

  const state = newSegmentation();
  for (let number = 1; number < 50; number++) {
    const total = 1000 * number;
    step(state, { type: 'asked', number, sealed: total, segmented: total }, total);
    assert.deepEqual(step(state, { type: 'answered', number, opened: null, fullAt: total }, total), []);
  }
  for (let number = 50; number < 100; number++) {
    const total = 1000 * number;
    step(state, { type: 'asked', number, sealed: total, segmented: total }, total);
    const opened = total % 10_000;
    const effects = step(state, { type: 'answered', number, opened: 10_000 - opened, fullAt: 0 }, total);
    assert.deepEqual(effects, []);
  }
});

test('whatever a peer says that it has opened, it changes how records leave a few times in an hour at most', () => {
  const lie = fc.oneof(fc.constant(0), fc.constant(1e15), fc.nat(100_000));
  fc.assert(
    fc.property(fc.array(lie, { minLength: 50, maxLength: 400 }), (lies) => {
      const state = newSegmentation();
      const switches: number[] = [];
      let opened = 0;
      for (let number = 1; number <= 4500; number++) {
        const now = number * 800;
        opened += lies[number % lies.length]!;
        const events: SegmentationEvent[] = [
          { type: 'tick' },
          { type: 'asked', number, sealed: number * 1000, segmented: number * 900 },
          { type: 'answered', number, opened, fullAt: now },
        ];
        for (const event of events) {
          for (const effect of step(state, event, now)) if (effect.type === 'segment') switches.push(now);
        }
        assert.ok(state.asked.size <= 8);
        const next = nextDeadline(state);
        assert.ok(next === undefined || next > now, 'time stands still');
      }
      assert.ok(switches.length <= 20, `${switches.length} in an hour`);
    }),
    { numRuns: 100 },
  );
});

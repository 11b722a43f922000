import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Alarm } from '../dataplane/io/alarm.ts';

/** An alarm in virtual time, and when it rang. */
function lab(context: TestContext) {
  let now = 0;
  context.mock.timers.enable({ apis: ['setTimeout'] });
  context.mock.method(performance, 'now', () => now);
  const rings: number[] = [];
  const alarm = new Alarm(() => rings.push(now));
  const pass = (milliseconds: number) => {
    for (let i = 0; i < milliseconds; i++) {
      now++;
      context.mock.timers.tick(1);
    }
  };
  return { alarm, rings, pass };
}

test('of many deadlines the earliest rings, once, and the next when it is told again', (context) => {
  const { alarm, rings, pass } = lab(context);
  for (const at of [300, undefined, 100, null, 200]) alarm.by(at);
  pass(1000);
  assert.deepEqual(rings, [100]);
  alarm.by(1200);
  pass(1000);
  assert.deepEqual(rings, [100, 1200]);
});

test('a deadline that is over rings soon, and none does after clear', (context) => {
  const { alarm, rings, pass } = lab(context);
  pass(50);
  alarm.by(10);
  alarm.by(60);
  pass(1);
  assert.deepEqual(rings, [51]);
  alarm.by(70);
  alarm.clear();
  pass(100);
  assert.deepEqual(rings, [51]);
});

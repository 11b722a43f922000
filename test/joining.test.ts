import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newJoining, stepJoining } from '../dataplane/core/joining.ts';

const second = 1000;

test('what was refused once is tried again after ten seconds, and is over ten seconds later', () => {
  const joining = newJoining();
  assert.equal(stepJoining(joining, 0, 0), undefined);
  assert.equal(stepJoining(joining, 1, 5 * second), 'tell');
  assert.equal(stepJoining(joining, 1, 14 * second), undefined);
  assert.equal(stepJoining(joining, 1, 15 * second), 'join');
  assert.equal(stepJoining(joining, 1, 24 * second), undefined);
  assert.equal(stepJoining(joining, 1, 25 * second), 'over');
  assert.equal(stepJoining(joining, 1, 1e9), undefined);
});

test('a kernel that never takes any is asked less and less often, every ten minutes at last', () => {
  const joining = newJoining();
  let refused = 0;
  const asked: number[] = [];
  for (let now = 0; asked.length < 10; now += second) {
    if (now === 0 || stepJoining(joining, refused, now) === 'join') {
      asked.push(now / second);
      assert.equal(stepJoining(joining, ++refused, now), 'tell');
    }
  }
  const pauses = asked.slice(1).map((at, i) => at - asked[i]!);
  assert.deepEqual(pauses, [10, 20, 40, 80, 160, 320, 600, 600, 600]);
});

test('after a while without a refusal pauses begin anew', () => {
  const joining = newJoining();
  stepJoining(joining, 1, 0);
  stepJoining(joining, 1, 10 * second);
  stepJoining(joining, 2, 11 * second);
  assert.equal(stepJoining(joining, 2, 31 * second), 'join');
  assert.equal(stepJoining(joining, 2, 51 * second), 'over');
  stepJoining(joining, 3, 60 * second);
  assert.equal(stepJoining(joining, 3, 70 * second), 'join');
});

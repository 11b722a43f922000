import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  isContested,
  isThere,
  mayPutBack,
  newAddressKeeper,
  wasPutBack,
} from '../dataplane/core/address-keeper.ts';

/** Takes the address away after each time, looking every two seconds; the seconds at which it was put back. */
function fight(seconds: number, keeper = newAddressKeeper(), from = 0): number[] {
  const times: number[] = [];
  for (let at = from; at < from + seconds; at += 2) {
    if (!mayPutBack(keeper, at * 1000)) continue;
    wasPutBack(keeper, at * 1000);
    times.push(at);
  }
  return times;
}

test('an address that was taken away once is put back at once, and nobody is accused', () => {
  const keeper = newAddressKeeper();
  assert.ok(mayPutBack(keeper, 5000));
  wasPutBack(keeper, 5000);
  assert.ok(!isContested(keeper));
});

test('one that is taken away each time is put back less and less often, and it is said', () => {
  const keeper = newAddressKeeper();
  assert.deepEqual(fight(300, keeper), [0, 2, 6, 14, 30, 62, 126, 190, 254]);
  assert.ok(isContested(keeper));
});

test('who takes it away four times within a minute has it said from then on', () => {
  const keeper = newAddressKeeper();
  const said = [1, 2, 3, 4].map((_, i) => {
    wasPutBack(keeper, i * 15_000);
    return isContested(keeper);
  });
  assert.deepEqual(said, [false, false, false, true]);
});

test('an address that stays is at peace again, and once more put back at once', () => {
  const keeper = newAddressKeeper();
  fight(100, keeper);
  isThere(keeper, 130_000);
  assert.ok(isContested(keeper), 'not yet');
  isThere(keeper, 300_000);
  assert.ok(!isContested(keeper));
  assert.ok(mayPutBack(keeper, 300_001));
});

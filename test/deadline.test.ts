/** Time limits for the other end of a connection, in a process that is late itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Deadline } from '../control/io/deadline.ts';

test('a limit is over after its time, and not once it was cleared', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const over: string[] = [];
  new Deadline(8000, () => over.push('one'));
  const cleared = new Deadline(8000, () => over.push('other'));
  for (let second = 1; second <= 8; second++) {
    assert.deepEqual(over, [], `before ${second} s`);
    context.mock.timers.tick(1000);
    if (second === 7) cleared.clear();
  }
  assert.deepEqual(over, ['one']);
  cleared.clear();
});

test('what came while the process stood still is read before the limit counts it', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  let isOver = false;
  const deadline = new Deadline(8000, () => {
    isOver = true;
  });
  // All timers that are due, and no turn of the event loop between them.
  context.mock.timers.tick(60_000);
  assert.equal(isOver, false);
  deadline.clear();
});

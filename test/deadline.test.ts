/** Time limits for the other end of a connection, in a process that is late itself. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import type { WebSocket } from 'ws';
import { Deadline } from '../control/io/deadline.ts';
import type { Proven } from '../control/io/handshake.ts';
import { NeighborSocket } from '../control/io/neighbor-socket.ts';

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

/** A WebSocket that counts pings and is told of pongs. */
class Pinged extends EventEmitter {
  pings = 0;

  ping(): void {
    this.pings++;
  }

  terminate(): void {}

  resume(): void {}
}

test('a neighbor may be late for a ping, and is gone when it has answered none of two', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const socket = new Pinged();
  const ends: (string | undefined)[] = [];
  const proven = { peer: { epoch: 1 } } as Proven;
  new NeighborSocket(socket as unknown as WebSocket, proven, {
    admits: () => true,
    carried: () => true,
    message: () => {},
    closed: (cause) => void ends.push(cause?.message),
  });
  const pass = (seconds: number) => {
    for (let half = 0; half < 2 * seconds; half++) context.mock.timers.tick(500);
  };
  pass(28);
  assert.equal(socket.pings, 2);
  socket.emit('pong');
  pass(20);
  assert.equal(socket.pings, 4);
  assert.deepEqual(ends, []);
  pass(12);
  assert.match(ends.join(), /^the neighbor does not answer$/);
  assert.equal(socket.pings, 4);
});

/** What the bootstrap server takes from the other end before that has proved anything. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import type { WebSocket } from 'ws';
import { ServerHandshake } from '../control/io/handshake.ts';
import { shakeHands } from '../control/io/neighbor-socket.ts';
import { join, local, serve } from './bootstrap-lab.ts';

class PausableSocket extends EventEmitter {
  isPaused = false;

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  send(): void {}

  close(): void {}
}

test('while a message of a paced source waits, nothing more is read from there', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const socket = new PausableSocket();
  const reception = { farewell: () => undefined, pause: () => 500 };
  const end = assert.rejects(
    shakeHands(socket as unknown as WebSocket, new ServerHandshake(local('server')), undefined, reception),
    { code: 'bad_frame' },
  );
  assert.ok(!socket.isPaused);
  socket.emit('message', Buffer.from([0xc1]), true);
  assert.ok(socket.isPaused);
  context.mock.timers.tick(499);
  assert.ok(socket.isPaused);
  context.mock.timers.tick(1);
  assert.ok(!socket.isPaused);
  await end;
});

test('segments of accepted connections are short, in both directions', async (context) => {
  const served = await serve(context);
  await join(context, served);
  for (const filter of [`sport = :${served.port}`, `dport = :${served.port}`]) {
    const command = ['-tinH', 'state', 'established', ...filter.split(' ')];
    const end = execFileSync('ss', command, { encoding: 'utf8' });
    const [, mss] = / mss:(\d+) /.exec(end) ?? [];
    assert.ok(Number(mss) <= 1024, end);
  }
});

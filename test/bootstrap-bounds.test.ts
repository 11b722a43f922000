/** What the bootstrap server takes from the other end before that has proved anything. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import type { WebSocket } from 'ws';
import { ServerHandshake } from '../control/io/handshake.ts';
import { shakeHands } from '../control/io/neighbor-socket.ts';
import { subprotocol } from '../protocol/handshake.ts';
import { join, local, rawExchange, serve } from './bootstrap-lab.ts';
import { waitFor } from './native/wait.ts';
import { upgradeRequest } from './upgrade-request.ts';

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

test('a stranger that begins a long message is closed before its time is over', async (context) => {
  const served = await serve(context);
  // A frame as in RFC 6455, section 5.2, of 196,608 bytes, masked by zeros.
  const header = Buffer.from('82ff000000000003000000000000', 'hex');
  const bytes = [Buffer.from(upgradeRequest(subprotocol)), header, new Uint8Array(20_000)];
  await rawExchange(context, served, Buffer.concat(bytes));
  await waitFor('the refusal', () => served.refused.length === 1);
  assert.equal(served.refused[0]!.message, 'closed during the handshake');
  await join(context, served);
  await waitFor('the next', () => served.neighbors.length === 1);
});

test('a neighbor that says a message in hundreds of fragments is closed', async (context) => {
  const served = await serve(context);
  const { socket } = await join(context, served);
  await waitFor('the neighbor', () => served.neighbors.length === 1);
  for (let i = 0; i < 500; i++) socket.send(Uint8Array.of(i & 255), { fin: false });
  await waitFor('the end', () => served.neighbors[0]!.ends.length > 0);
});

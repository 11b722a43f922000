/** Connections by a WebSocket, back to back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CarriedConnection } from '../dataplane/io/engine/carried.ts';
import type { CarriedChannel } from '../protocol/carried.ts';
import { waitFor } from './native/wait.ts';

/** Bits in a second. */
const limit = 10_000_000;

class End {
  readonly told: string[] = [];
  readonly messages: [string, number][] = [];
  peer: End | undefined;
  /** What waits until it is delivered. */
  readonly under: [CarriedChannel, Uint8Array][] = [];
  held = false;
  readonly connection = new CarriedConnection(
    (channel, record) => {
      if (this.held) this.under.push([channel, record]);
      else this.peer?.connection.receive(channel, record);
    },
    limit,
    {
      state: (state) => void this.told.push(state),
      open: (channel) => void this.told.push(`open ${channel}`),
      message: (channel, bytes) => void this.messages.push([channel, bytes.length]),
      drain: () => void this.told.push('drain'),
      misused: (how) => void this.told.push(`misused ${how}`),
    },
  );
}

function pair(): [End, End] {
  const [a, b] = [new End(), new End()];
  [a.peer, b.peer] = [b, a];
  return [a, b];
}

const opened = ['connected', 'open signal', 'open wire', 'open data'];

async function open(a: End, b: End): Promise<void> {
  const answer = await b.connection.answer(await a.connection.offer());
  await a.connection.accept(answer);
  await waitFor('both to be open', () => a.told.length === 4 && b.told.length === 4);
}

test('both ends are open once both descriptions are there, and what one sends the other receives', async () => {
  const [a, b] = pair();
  assert.equal(a.connection.send('wire', new Uint8Array(1)), false, 'not before');
  await open(a, b);
  assert.deepEqual([a.told, b.told], [opened, opened]);
  assert.ok(a.connection.send('signal', new Uint8Array(5)));
  assert.ok(b.connection.send('data', new Uint8Array(7)));
  assert.deepEqual([b.messages, a.messages], [[['signal', 5]], [['data', 7]]]);
});

test('a description is another one each time, and one that is none is refused', async () => {
  const [a, b] = pair();
  assert.notEqual(await a.connection.offer(), await a.connection.offer());
  await assert.rejects(b.connection.answer('a=fingerprint:sha-1 00'), { code: 'bad_sdp' });
  await assert.rejects(b.connection.accept(''), { code: 'bad_sdp' });
  assert.deepEqual(b.told, []);
});

test('what comes before this end is open is told then, and too much of it is misuse', async () => {
  const [a, b] = pair();
  const answer = await b.connection.answer(await a.connection.offer());
  await waitFor('the other end to be open', () => b.told.length === 4);
  b.connection.send('wire', new Uint8Array(3));
  b.connection.send('signal', new Uint8Array(4));
  assert.deepEqual(a.messages, []);
  await a.connection.accept(answer);
  await waitFor('this end to be open', () => a.messages.length === 2);
  assert.deepEqual(a.messages, [
    ['wire', 3],
    ['signal', 4],
  ]);
  const c = new End();
  for (let i = 0; i < 32; i++) c.connection.receive('data', new Uint8Array(100));
  assert.deepEqual(c.told, []);
  c.connection.receive('data', new Uint8Array(100));
  assert.deepEqual(c.told, ['misused backlog']);
  const d = new End();
  d.connection.receive('data', new Uint8Array(65_537));
  assert.deepEqual(d.told, ['misused backlog']);
});

test('packets are held back beyond the limit, and signaling is not', async () => {
  const [a, b] = pair();
  await open(a, b);
  let sent = 0;
  while (a.connection.buffered('data') < 262_144) {
    a.connection.send('data', new Uint8Array(1400));
    sent += 1400;
  }
  assert.ok(sent >= 65_536 && sent < 200_000, `${sent} bytes at once`);
  assert.deepEqual([a.connection.buffered('signal'), a.connection.buffered('wire')], [0, 0]);
  assert.ok(a.connection.send('signal', new Uint8Array(1)));
  await waitFor('room again', () => a.told.includes('drain'));
  assert.ok(a.connection.buffered('data') <= 32_768 + 1400);
});

test('short packets count as more than they are long', async () => {
  const [a, b] = pair();
  await open(a, b);
  let count = 0;
  for (; a.connection.buffered('data') < 262_144; count++) a.connection.send('data', new Uint8Array(40));
  assert.ok(count < 400, `${count} packets at once`);
});

test('who closes tells the other end, and neither says anything afterwards', async () => {
  const [a, b] = pair();
  await open(a, b);
  a.connection.close();
  a.connection.close();
  assert.equal(b.told.at(-1), 'closed');
  assert.equal(a.told.length, 4);
  assert.equal(b.connection.send('wire', new Uint8Array(1)), false);
  b.connection.receive('wire', new Uint8Array(1));
  a.connection.receive('data', new Uint8Array(1));
  assert.deepEqual([a.messages, b.messages], [[], []]);
  const c = new End();
  await c.connection.answer(await new End().connection.offer());
  c.connection.close();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(c.told, []);
});

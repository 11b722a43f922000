/** The events of a node: what is kept across starts, who is told, and what slow readers and loud members cost. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { appendFileSync, readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { follow } from '../cli/event-stream.ts';
import { openControlSocket, refusing } from '../control/io/control-socket.ts';
import { EventRing } from '../control/io/event-ring.ts';
import { maxWatchers } from '../control/io/event-streams.ts';
import { NodeEvents } from '../control/io/node-events.ts';
import { CryonetError } from '../protocol/errors.ts';
import { eventIdText, type NodeEvent, timed } from '../protocol/events.ts';
import { exampleFigures } from './figures-example.ts';
import { waitFor } from './native/wait.ts';
import { temporaryFolder } from './socket-pair.ts';
import { exampleReport } from './status-example.ts';

const kept = 1024;

function numbered(mtu: number): NodeEvent {
  return timed({ event: 'mtu.changed', peer: 'b', mtu }, 0);
}

/** The numbers of what is told after an event, and whether some was missed. */
function told(ring: EventRing, epoch: number, number: number) {
  const { place: from, missed } = ring.after({ epoch, number });
  const numbers: number[] = [];
  for (let place = from; ring.at(place) !== undefined; place++) {
    numbers.push((JSON.parse(ring.at(place)!.entry.json) as NodeEvent).mtu!);
  }
  return { missed, numbers };
}

test('what a start was told is told again by the next one, after the event that a watcher had last', (context) => {
  const path = join(temporaryFolder(context), 'events');
  const first = new EventRing({ path, epoch: 5 });
  for (const i of [1, 2, 3]) first.append(numbered(i));
  first.close();
  const second = new EventRing({ path, epoch: 9 });
  second.append(numbered(4));
  assert.deepEqual(told(second, 5, 2), { missed: false, numbers: [3, 4] });
  assert.deepEqual(told(second, 0, 0), { missed: false, numbers: [1, 2, 3, 4] });
  assert.deepEqual(told(second, 9, 1), { missed: false, numbers: [] });
  assert.deepEqual(told(second, 4, 8), { missed: true, numbers: [1, 2, 3, 4] });
  assert.equal(eventIdText(second.last!), '9-1');
  second.close();
});

test('the first event is in the file at once, for a control that is killed; a line that was cut short is left out', (context) => {
  const path = join(temporaryFolder(context), 'events');
  const first = new EventRing({ path, epoch: 5 });
  first.append(numbered(1));
  appendFileSync(path, '5-2 {"time":"2026-');
  const second = new EventRing({ path, epoch: 6 });
  second.append(numbered(3));
  second.close();
  assert.deepEqual(told(new EventRing({ path, epoch: 7 }), 0, 0).numbers, [1, 3]);
});

test('however many events there are, so many are kept, in memory and in the file, and a watcher that is too late is told', (context) => {
  const path = join(temporaryFolder(context), 'events');
  const ring = new EventRing({ path, epoch: 5 });
  for (let i = 1; i <= 5 * kept; i++) ring.append(numbered(i));
  ring.close();
  const { missed, numbers } = told(ring, 5, 3);
  assert.deepEqual([missed, numbers.length, numbers[0]], [true, kept, 4 * kept + 1]);
  assert.deepEqual(told(ring, 5, 4 * kept).missed, false);
  const late = ring.at(0)!;
  assert.deepEqual([late.missed, late.entry.id.number], [true, 4 * kept + 1]);
  assert.ok(readFileSync(path, 'utf8').split('\n').length <= 2 * kept + 1);
  assert.equal(told(new EventRing({ path, epoch: 6 }), 0, 0).numbers.length, kept);
});

test('a folder that cannot be written to costs what is kept, and nothing else', (context) => {
  const ring = new EventRing({ path: join(temporaryFolder(context), 'none', 'events'), epoch: 5 });
  for (const i of [1, 2]) ring.append(numbered(i));
  ring.close();
  assert.deepEqual(told(ring, 0, 0).numbers, [1, 2]);
});

async function served(context: TestContext) {
  const folder = temporaryFolder(context);
  const ring = new EventRing({ path: join(folder, 'events'), epoch: 5 });
  const events = new NodeEvents(ring);
  const responses: ServerResponse[] = [];
  const path = join(folder, 'control.sock');
  const socket = await openControlSocket(path, {
    ...refusing(new CryonetError('internal')),
    status: async () => exampleReport,
    watch: (response, after) => {
      responses.push(response);
      events.watch(response, after);
    },
    isWatched: (each) => events.isWatched(each),
    figures: async () => exampleFigures,
  });
  context.after(() => {
    socket.close();
    events.close();
    ring.close();
  });
  return { ring, events, path, responses };
}

/** A watcher that reads nothing. */
async function silent(context: TestContext, path: string): Promise<Socket> {
  const socket = connect(path).on('error', () => {});
  context.after(() => socket.destroy());
  socket.pause();
  await once(socket, 'connect');
  socket.write('GET /v1/events HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 0-0\r\n\r\n');
  return socket;
}

test('a watcher is told what happens, and goes on after the event that it had last', async (context) => {
  const { events, path } = await served(context);
  events.publish({ event: 'peer.learned', peer: 'b' });
  const messages = follow(path, undefined);
  const { value: hello } = await messages.next();
  assert.deepEqual(hello, { id: '5-1', event: undefined });
  events.publish({ event: 'link.lost', peer: 'b', interface: 'cnb', reason: 'a\n reason' });
  const { value: lost } = await messages.next();
  assert.equal(lost!.id, '5-2');
  const { time, ...rest } = lost!.event!;
  assert.deepEqual(rest, { event: 'link.lost', peer: 'b', interface: 'cnb', reason: 'a reason' });
  assert.match(time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  await messages.return(undefined);
  events.publish({ event: 'link.up', peer: 'b' });
  const again = follow(path, lost!.id);
  await again.next();
  const { value: up } = await again.next();
  assert.deepEqual([up!.id, up!.event!.event], ['5-3', 'link.up']);
  await again.return(undefined);
});

test('an ID that is none is a problem, and a HEAD has no stream', async (context) => {
  const { path } = await served(context);
  await assert.rejects(follow(path, 'yesterday').next(), {
    code: 'bad_message',
    message: /^last-event-id: /,
  });
  const socket = connect(path);
  socket.write('HEAD /v1/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  const [answer] = await once(socket.setEncoding('utf8'), 'data');
  assert.match(answer, /^HTTP\/1\.1 200 OK\r\n.*text\/event-stream/is);
  await once(socket, 'close');
});

test('two hundred watchers that read nothing cost little, and neither events nor questions wait for them', async (context) => {
  const { ring, path, responses } = await served(context);
  const sockets: Socket[] = [];
  for (let i = 0; i < 200; i++) sockets.push(await silent(context, path));
  await waitFor('all to come, and most to go', () => {
    const closed = responses.filter((response) => response.closed).length;
    return responses.length === 200 && closed === 200 - maxWatchers;
  });
  const reader = follow(path, undefined);
  await reader.next();
  const start = process.cpuUsage();
  const count = 20_000;
  for (let i = 0; i < count; i++) {
    ring.append(numbered(i));
    if (i % 100 === 99) await new Promise((resolve) => setImmediate(resolve));
  }
  const { user, system } = process.cpuUsage(start);
  let last: number | undefined;
  for await (const { event } of reader) {
    last = event?.mtu ?? last;
    if (last === count - 1) break;
  }
  // Beside these bytes the kernel holds what a socket's buffer takes.
  const unsent = Math.max(...responses.map(({ writableLength }) => writableLength));
  assert.ok(unsent < 70_000, `${unsent} bytes`);
  const each = (user + system) / count;
  assert.ok(each < 500, `${Math.round(each)} µs of a processor for an event`);
  context.diagnostic(
    `${Math.round(each)} µs of a processor for an event, ${unsent} bytes wait for a watcher`,
  );
  assert.equal(
    (await once(connect(path).end('GET /v1/peers HTTP/1.0\r\n\r\n').setEncoding('utf8'), 'data')).length,
    1,
  );
});

test('a watcher that reads again after it fell behind is told that it has missed some, and then the rest', async (context) => {
  const { ring, path } = await served(context);
  const socket = await silent(context, path);
  for (let i = 0; i < 20; i++) {
    for (let j = 0; j < kept; j++) ring.append(numbered(i * kept + j));
    await new Promise((resolve) => setImmediate(resolve));
  }
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk.toString();
  });
  socket.resume();
  await waitFor('the last one', () => text.includes(`"mtu":${20 * kept - 1}}`));
  assert.match(text, /event: events\.missed\ndata: /);
});

test('a member that comes and goes, and one that invents others, are told a few times and counted', async (context) => {
  const { ring, events } = await served(context);
  for (let i = 0; i < 5000; i++) events.publish({ event: i % 2 ? 'link.lost' : 'link.up', peer: 'flapping' });
  for (let i = 0; i < 5000; i++) events.publish({ event: 'peer.learned', peer: `p${i}` });
  events.publish({ event: 'link.up', peer: 'honest' });
  const { place } = ring.after({ epoch: 0, number: 0 });
  const all: NodeEvent[] = [];
  for (let at = place; ring.at(at) !== undefined; at++) all.push(JSON.parse(ring.at(at)!.entry.json));
  assert.equal(all.filter(({ peer }) => peer === 'flapping').length, 20);
  assert.equal(all.filter(({ event }) => event === 'peer.learned').length, 256);
  assert.equal(all.at(-1)!.peer, 'honest');
});

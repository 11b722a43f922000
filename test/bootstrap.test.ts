import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { openBootstrapServer } from '../control/io/bootstrap-server.ts';
import { Guesses } from '../control/io/guesses.ts';
import type { Proven } from '../control/io/handshake.ts';
import { maxWebSocketFrame, NeighborSocket } from '../control/io/neighbor-socket.ts';
import { maxOfSource, maxUnproven, sourceOf, Unproven } from '../control/io/unproven.ts';
import { type RefuseCode, refuseCodes, subprotocol } from '../protocol/handshake.ts';
import { encode } from '../protocol/msgpack.ts';
import type { NeighborMessage } from '../protocol/signaling.ts';
import {
  alive,
  dial,
  join,
  local,
  open,
  outlastsProof,
  rawExchange,
  type Served,
  serve,
} from './bootstrap-lab.ts';
import { waitFor } from './native/wait.ts';
import { upgradeRequest } from './upgrade-request.ts';

// Those with virtual time first: a timer of an earlier test that they see cleared would not be.
test('a client that says nothing for twenty seconds is closed', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const served = await serve(context);
  const socket = new WebSocket(served.url, subprotocol);
  context.after(() => socket.terminate());
  let code: number | undefined;
  socket.on('close', (given) => {
    code = given;
  });
  await new Promise((resolve) => socket.once('open', resolve));
  for (let second = 0; second < 20; second++) {
    assert.equal(served.refused.length, 0, `after ${second} s`);
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
    for (let i = 0; i < 2; i++) context.mock.timers.tick(500);
  }
  for (let i = 0; i < 200 && code === undefined; i++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(served.refused[0]?.code, 'connection_closed');
  assert.equal(code, 4003);
});

test('a connection has thirty seconds to prove itself, and then all the time there is', async (context) => {
  await outlastsProof(context, null);
});

test('a client and a server with the same token are neighbors, and messages cross both ways', async (context) => {
  const served = await serve(context);
  const { socket, proven } = await join(context, served);
  await waitFor('the neighbor', () => served.neighbors.length === 1);
  const heard: NeighborMessage[] = [];
  const client = new NeighborSocket(socket, proven, {
    admits: () => true,
    carried: () => true,
    message: (message) => void heard.push(message),
    closed: () => {},
  });
  context.after(() => client.close());
  const [{ neighbor, messages }] = served.neighbors as [Served['neighbors'][0]];
  assert.equal(neighbor.peer.id, 'client');
  assert.equal(client.peer.id, 'server');
  for (let i = 0; i < 20; i++) {
    client.send({ ...alive, ask: [`a${i}`] });
    neighbor.send({ ...alive, ask: [`b${i}`] });
  }
  await waitFor('the messages', () => heard.length === 20 && messages.length === 20);
  assert.deepEqual(
    messages.map((message) => message.type === 'alive' && message.ask[0]),
    Array.from({ length: 20 }, (_, i) => `a${i}`),
  );
  assert.ok(await neighbor.answers(1000));
});

test('another token is refused on both sides, by name', async (context) => {
  const served = await serve(context);
  const { failures, client } = dial(context, served.url, local('client', 'another'));
  await waitFor('two tries', () => failures.length >= 2);
  assert.equal(failures[0]!.code, 'wrong_token');
  assert.match(client.error!, /refused by the server: the token/);
  assert.equal(client.id, null);
  assert.equal(served.refused[0]!.code, 'wrong_token');
  assert.match(served.refused[0]!.message, /client does not have the same token/);
  assert.equal(served.neighbors.length, 0);
});

for (const code of refuseCodes.filter((each) => each !== 'wrong_token')) {
  test(`a client that the server does not admit is told ${code}`, async (context) => {
    const served = await serve(context, { events: { admit: async () => ({ code: code as RefuseCode }) } });
    const { failures } = dial(context, served.url, local('client'));
    await waitFor('the refusal', () => failures.length > 0);
    assert.equal(failures[0]!.code, code);
    assert.equal(served.refused[0]!.code, code);
    assert.equal(served.neighbors.length, 0);
  });
}

test('a node that is told of its own server leaves it alone', async (context) => {
  const served = await serve(context);
  const { client, failures } = dial(context, served.url, served.local);
  await waitFor('the discovery', () => failures.length > 0);
  assert.equal(failures[0]!.code, 'self_connection');
  await new Promise((resolve) => setTimeout(resolve, 120));
  assert.equal(failures.length, 1, 'not tried again');
  client.close();
});

test('a client comes back whenever the server does', async (context) => {
  const first = await serve(context);
  const { client, proven, failures } = dial(context, first.url, local('client'));
  await waitFor('the server', () => proven.length === 1);
  assert.equal(client.state, 'connected');
  assert.equal(client.id, 'server');
  first.server.close();
  for (const { neighbor } of first.neighbors) neighbor.close();
  await waitFor('a failure', () => failures.length > 0);
  assert.match(client.error!, /ECONNREFUSED/);
  await serve(context, { port: first.port });
  await waitFor('the server again', () => proven.length === 2);
  assert.equal(client.error, null);
});

test('a server that is none of ours is tried again, with its fault as the error', async (context) => {
  const impostor = createServer(
    (socket) => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'),
  );
  await new Promise<void>((resolve) => impostor.listen(0, '127.0.0.1', resolve));
  context.after(() => impostor.close());
  const { port } = impostor.address() as { port: number };
  const { failures } = dial(context, `ws://127.0.0.1:${port}`, local('client'));
  await waitFor('two tries', () => failures.length >= 2);
  assert.match(failures[0]!.message, /Unexpected server response: 200/);
});

const strangers: readonly [what: string, bytes: string | Uint8Array, answer: RegExp][] = [
  ['a browser', 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', /^HTTP\/1\.1 426 .*cryonet/s],
  ['a WebSocket without our subprotocol', upgradeRequest(''), /^HTTP\/1\.1 400 /],
  ['a WebSocket with another subprotocol', upgradeRequest('chat, cryonet.1'), /^HTTP\/1\.1 400 /],
  ['a WebSocket with a bad key', upgradeRequest(subprotocol).replace('AAAA', '*'), /^HTTP\/1\.1 400 /],
  ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n', /^$/],
  ['bytes', Uint8Array.from({ length: 5000 }, (_, i) => (i * 37) & 255), /^$/],
  ['endless headers', `GET / HTTP/1.1\r\n${'X: y\r\n'.repeat(20_000)}`, /^$/],
];

for (const [what, bytes, answer] of strangers) {
  test(`${what} gets its answer and is closed; the next neighbor is served`, async (context) => {
    const served = await serve(context);
    assert.match(await rawExchange(context, served, bytes), answer);
    await join(context, served);
    await waitFor('the neighbor', () => served.neighbors.length === 1);
  });
}

const beforeProof: readonly [what: string, message: string | Uint8Array][] = [
  ['a text message', 'hello'],
  ['an empty message', new Uint8Array()],
  ['garbage', Uint8Array.of(0xc1, 2, 3)],
  [
    'a proof before any hello',
    encode({ type: 'proof', mac: new Uint8Array(32), signature: new Uint8Array(64) }),
  ],
  ['a refusal', encode({ type: 'refuse', code: 'denied' })],
  [
    'a hello with a short key',
    encode({
      type: 'hello',
      id: 'x',
      key: new Uint8Array(3),
      epoch: 1,
      nonce: new Uint8Array(32),
      dh: new Uint8Array(32),
    }),
  ],
  ['an oversize message', new Uint8Array(maxWebSocketFrame + 1)],
];

for (const [what, message] of beforeProof) {
  test(`${what} from a stranger closes that WebSocket and nothing else`, async (context) => {
    const served = await serve(context);
    const bystander = await join(context, served);
    const { socket, closed } = await open(context, served);
    socket.send(message);
    await waitFor('the end', () => closed.code !== undefined);
    assert.equal(served.neighbors.length, 1);
    assert.equal(bystander.closed.code, undefined);
    await waitFor('the refusal', () => served.refused.length === 1);
    await join(context, served, local('next'));
    await waitFor('the next', () => served.neighbors.length === 2);
  });
}

const afterProof: readonly [what: string, message: (proven: Proven) => Uint8Array | string, code: string][] =
  [
    ['an unsealed message', () => encode(alive), 'bad_frame'],
    ['a message too short for a seal', () => Uint8Array.of(1), 'bad_frame'],
    ['a text message', () => 'hello', 'bad_frame'],
    ['sealed garbage', ({ outgoing }) => outgoing.seal(Uint8Array.of(0xc1)), 'bad_frame'],
    [
      'a sealed message of an unknown type',
      ({ outgoing }) => outgoing.seal(encode({ type: 'weather' })),
      'bad_message',
    ],
    [
      'a sealed message of a wrong shape',
      ({ outgoing }) => outgoing.seal(encode({ type: 'alive', digest: 'x', ask: [] })),
      'bad_message',
    ],
  ];

for (const [what, message, code] of afterProof) {
  test(`${what} from a neighbor closes its WebSocket with ${code}`, async (context) => {
    const served = await serve(context);
    const { socket, proven, closed } = await join(context, served);
    await waitFor('the neighbor', () => served.neighbors.length === 1);
    socket.send(message(proven));
    await waitFor('the end', () => closed.code !== undefined && served.neighbors[0]!.ends.length > 0);
    assert.equal(served.neighbors[0]!.ends[0]?.code, code);
    assert.equal(served.neighbors[0]!.ends.length, 1);
    assert.deepEqual(served.neighbors[0]!.messages, []);
  });
}

test('a message sent twice on the wire closes the WebSocket: each is accepted once', async (context) => {
  const served = await serve(context);
  const { socket, proven } = await join(context, served);
  await waitFor('the neighbor', () => served.neighbors.length === 1);
  const sealed = proven.outgoing.seal(encode(alive));
  socket.send(sealed);
  socket.send(sealed);
  const [{ messages, ends }] = served.neighbors as [Served['neighbors'][0]];
  await waitFor('the end', () => ends.length > 0);
  assert.equal(messages.length, 1);
  assert.equal(ends[0]?.code, 'bad_frame');
});

test('an oversize message from a neighbor closes its WebSocket', async (context) => {
  const served = await serve(context);
  const { socket, proven } = await join(context, served);
  await waitFor('the neighbor', () => served.neighbors.length === 1);
  socket.send(proven.outgoing.seal(new Uint8Array(maxWebSocketFrame)));
  await waitFor('the end', () => served.neighbors[0]!.ends.length > 0);
});

test('a neighbor that does not read is dropped, with a bounded backlog', async (context) => {
  const served = await serve(context);
  const { socket } = await join(context, served);
  await waitFor('the neighbor', () => served.neighbors.length === 1);
  socket.pause();
  const [{ neighbor, ends }] = served.neighbors as [Served['neighbors'][0]];
  const big: NeighborMessage = {
    type: 'flood',
    from: 'a',
    to: 'b',
    ttl: 1,
    body: new Uint8Array(32_768),
    signature: new Uint8Array(64),
  };
  let sent = 0;
  for (; ends.length === 0 && sent < 2000; sent++) neighbor.send(big);
  assert.match(ends[0]?.message ?? '', /does not read/);
  assert.ok(sent * 32_768 < 12 * 1024 * 1024, `${sent} messages`);
});

test('who guesses the token is paced by source, and others of the same address are let in, a little later', async (context) => {
  const guesses = new Guesses();
  assert.equal(guesses.pauseOf('a', 0), 0);
  guesses.wrong('a', 0);
  assert.deepEqual([guesses.pauseOf('a', 9999), guesses.pauseOf('b', 1)], [500, 0]);
  assert.equal(guesses.pauseOf('a', 10_000), 0);
  for (let i = 0; i < 1024; i++) guesses.wrong(`source ${i}`, 1);
  assert.equal(guesses.pauseOf('a', 2), 0, 'as many sources are remembered as there is room for');

  const served = await serve(context);
  await assert.rejects(join(context, served, local('guesser', 'another')), { code: 'wrong_token' });
  const start = performance.now();
  const joined: string[] = [];
  await Promise.all([
    join(context, served).then(() => joined.push('there')),
    join(context, served, local('other'), '127.0.0.2').then(() => joined.push('elsewhere')),
  ]);
  assert.ok(performance.now() - start >= 1000, 'both messages wait');
  assert.deepEqual(joined, ['elsewhere', 'there']);
});

test('three hundred neighbors at one server: only those in the middle of a handshake are counted', async (context) => {
  const served = await serve(context);
  for (let i = 0; i < 300; i += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, j) => join(context, served, local(`n${i + j}`))));
  }
  await waitFor('all neighbors', () => served.neighbors.length === 300);
});

test('who opens connections and proves nothing has a share of the room: others join, and it itself', async (context) => {
  const crowded: string[] = [];
  const served = await serve(context, { events: { crowded: (source) => void crowded.push(source) } });
  const beginnings = ['', 'GET / HT', upgradeRequest(subprotocol)];
  const idle = Array.from({ length: 400 }, (_, i) => {
    const socket = connect(served.port, '127.0.0.1')
      .on('error', () => {})
      .resume();
    context.after(() => socket.destroy());
    socket.write(beginnings[i % beginnings.length]!);
    return socket;
  });
  await waitFor('room', () => idle.filter((socket) => socket.closed).length === idle.length - maxOfSource);
  const begun = performance.now();
  await join(context, served, local('from-there'));
  await join(context, served, local('from-elsewhere'), '127.0.0.2');
  assert.ok(performance.now() - begun < 5000, `${performance.now() - begun} ms`);
  await waitFor('both', () => served.neighbors.length === 2);
  assert.deepEqual([...new Set(crowded)], ['127.0.0.1']);
});

test('a port that is taken, and an address or a name that is not here, may pass; both by the option’s name', async (context) => {
  const { port } = await serve(context);
  await assert.rejects(serve(context, { port }), {
    code: 'port_in_use',
    message: `--listen 127.0.0.1:${port}: another program has that port`,
  });
  const elsewhere = openBootstrapServer({ host: '192.0.2.1', port: 0 }, null, local('x'), {
    admit: async () => undefined,
    neighbor: () => {},
    refused: () => {},
  });
  await assert.rejects(elsewhere, {
    code: 'unavailable',
    message: '--listen 192.0.2.1:0: this machine does not have that address (EADDRNOTAVAIL)',
  });
  const tls = openBootstrapServer({ host: '127.0.0.1', port: 0 }, { cert: 'no', key: 'no' }, local('x'), {
    admit: async () => undefined,
    neighbor: () => {},
    refused: () => {},
  });
  await assert.rejects(tls, { code: 'bad_config', message: /^--tls-cert or --tls-key cannot be used/ });
});

test('a source is one IPv4 address, or a /56 of IPv6', () => {
  const sources = [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:23ff::1', '2001:db8:1:2300::/56'],
    ['2001:db8:1:2301:5:6:7:8', '2001:db8:1:2300::/56'],
    ['2001:db8::7', '2001:db8:0:0::/56'],
    ['::1', '0:0:0:0::/56'],
    ['fe80::1%eth0', 'fe80:0:0:0::/56'],
  ] as const;
  for (const [address, source] of sources) assert.equal(sourceOf(address), source);
});

test('where there is no room at all, the oldest of the source that has most makes room', () => {
  const closed: string[] = [];
  const unproven = new Unproven(() => {});
  const add = (remoteAddress: string, remotePort: number) => {
    const socket = Object.assign(new Duplex({ read() {}, write() {} }), { remoteAddress, remotePort });
    socket.destroy = () => {
      closed.push(`${remoteAddress} ${remotePort}`);
      socket.emit('close');
      return socket;
    };
    unproven.add(socket as unknown as Socket);
    return socket;
  };
  const crowd = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].flatMap((address) =>
    Array.from({ length: address === '10.0.0.2' ? maxOfSource : 10 }, (_, i) => add(address, i)),
  );
  const others = Array.from({ length: maxUnproven - crowd.length }, (_, i) =>
    add(`10.1.${i >> 8}.${i & 255}`, 1),
  );
  assert.deepEqual(closed, []);
  const late = Array.from({ length: 10 }, (_, i) => add(`10.2.0.${i}`, 1));
  assert.deepEqual(
    closed,
    Array.from({ length: 10 }, (_, i) => `10.0.0.2 ${i}`),
  );
  closed.length = 0;
  for (const each of [...crowd, ...others, ...late]) each.destroy();
  closed.length = 0;
  const again = Array.from({ length: maxUnproven }, (_, i) => add(`10.3.${i >> 8}.${i & 255}`, 1));
  assert.deepEqual(closed, []);
  for (const each of again) each.destroy();
});

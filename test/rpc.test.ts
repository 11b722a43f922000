import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { CryonetError } from '../protocol/errors.ts';
import { FrameReader, frame } from '../protocol/frame.ts';
import { decode, encode } from '../protocol/msgpack.ts';
import { RpcConnection, type RpcEvents } from '../protocol/rpc.ts';
import { calls, notices } from './calls.ts';
import { examples } from './messages.ts';
import { waitFor } from './native/wait.ts';
import { type SocketPairs, socketPairs } from './socket-pair.ts';

/** One end is an `RpcConnection`, the other whatever the test writes. */
interface Setting {
  readonly connection: RpcConnection;
  readonly theirs: Socket;
  /** What `closed` was told, once for each time. */
  readonly ends: (CryonetError | undefined)[];
  readonly asked: unknown[];
  readonly told: unknown[];
  /** Values of the frames that the connection sent. */
  readonly received: unknown[];
}

async function setUp(
  pairs: SocketPairs,
  answer: RpcEvents['request'] = async () => ({}) as never,
): Promise<Setting> {
  const { ours, theirs } = await pairs.open();
  const setting = { ends: [], asked: [], told: [], received: [] } as Omit<Setting, 'connection' | 'theirs'>;
  const connection = new RpcConnection(ours, {
    request: (method, params) => {
      setting.asked.push([method, params]);
      return answer(method, params);
    },
    notification: (name, params) => void setting.told.push([name, params]),
    closed: (cause) => void setting.ends.push(cause),
  });
  const reader = new FrameReader(2 ** 26);
  theirs.on('data', (chunk) => setting.received.push(...reader.push(chunk).map(decode)));
  return { ...setting, connection, theirs };
}

function single(name: string, body: (setting: Setting, context: TestContext) => Promise<void>): void {
  test(name, async (context) => body(await setUp(await socketPairs(context)), context));
}

const request = (number: number, method: unknown, params: unknown) =>
  frame(encode([0, number, method, params]));

single(
  'a method that nobody knows gets an error reply, and the connection stays',
  async ({ theirs, received, ends }) => {
    theirs.write(request(1, 'fly', {}));
    theirs.write(request(2, 'toString', {}));
    theirs.write(request(3, '__proto__', {}));
    theirs.write(request(4, 'stats', {}));
    await waitFor('four replies', () => received.length === 4);
    for (const reply of received.slice(0, 3) as [number, number, { code: string }, unknown][]) {
      assert.equal(reply[2].code, 'unknown_method');
      assert.equal(reply[3], null);
    }
    assert.deepEqual(received[3], [1, 4, null, {}]);
    assert.deepEqual(ends, []);
  },
);

single(
  'parameters of a wrong type get an error that names the field, and the connection stays',
  async ({ theirs, received, asked, ends }) => {
    theirs.write(request(1, 'offer', { ...calls.offer.params, route: 'flight' }));
    theirs.write(
      request(2, 'offer', { ...calls.offer.params, iceServers: [{ kind: 'stun', host: 'x', port: 'y' }] }),
    );
    theirs.write(request(3, 'remove', null));
    theirs.write(request(4, 'remove', { peer: 'a b' }));
    await waitFor('four replies', () => received.length === 4);
    const errors = (received as [number, number, { code: string; message: string }, unknown][]).map(
      ([, , error]) => error,
    );
    assert.deepEqual(
      errors.map(({ code }) => code),
      Array(4).fill('bad_message'),
    );
    assert.match(errors[0]!.message, /^route: /);
    assert.match(errors[1]!.message, /^iceServers\.0\.port: /);
    assert.match(errors[2]!.message, /^message: /);
    assert.match(errors[3]!.message, /^peer: /);
    assert.deepEqual(asked, []);
    assert.deepEqual(ends, []);
  },
);

test('what a request throws becomes its error reply: a code of the table, else internal, on one line', async (context) => {
  const thrown = [new CryonetError('bad_sdp', 'no ufrag'), new Error('a defect\n  in two lines'), 'a string'];
  const { theirs, received } = await setUp(await socketPairs(context), () => Promise.reject(thrown.shift()));
  for (const number of [1, 2, 3]) theirs.write(request(number, 'stats', {}));
  await waitFor('three replies', () => received.length === 3);
  assert.deepEqual(received, [
    [1, 1, { code: 'bad_sdp', message: 'no ufrag' }, null],
    [1, 2, { code: 'internal', message: 'a defect in two lines' }, null],
    [1, 3, { code: 'internal', message: 'a string' }, null],
  ]);
});

single(
  'replies may come in any order; one to a number never asked is ignored',
  async ({ connection, theirs }) => {
    const replies = [
      connection.call('offer', calls.offer.params),
      connection.call('accept', calls.accept.params),
      connection.call('stats', {}),
    ];
    theirs.write(frame(encode([1, 77, null, {}])));
    theirs.write(frame(encode([1, 3, null, { links: [] }])));
    theirs.write(frame(encode([1, 3, null, { links: [] }])));
    theirs.write(frame(encode([1, 1, null, calls.offer.result])));
    theirs.write(frame(encode([1, 2, { code: 'unknown_link', message: 'gone' }, null])));
    assert.deepEqual(await replies[2], { links: [] });
    assert.deepEqual(await replies[0], calls.offer.result);
    await assert.rejects(replies[1]!, { code: 'unknown_link', message: 'gone' });
  },
);

single(
  'a reply of the wrong shape, or with a code of no table, fails its call alone',
  async ({ connection, theirs, ends }) => {
    const first = connection.call('offer', calls.offer.params);
    const second = connection.call('stats', {});
    theirs.write(frame(encode([1, 1, null, { sdp: 5 }])));
    theirs.write(frame(encode([1, 2, { code: 'hexed', message: 'm' }, null])));
    await assert.rejects(first, { code: 'bad_message', message: /^sdp: / });
    await assert.rejects(second, { code: 'internal', message: 'm' });
    assert.deepEqual(ends, []);
  },
);

single('closing rejects every pending call, and is told once', async ({ connection, ends, theirs }) => {
  const pending = [1, 2, 3].map(() => connection.call('stats', {}));
  connection.close();
  connection.close(new CryonetError('internal'));
  for (const call of pending) await assert.rejects(call, { code: 'connection_closed' });
  await assert.rejects(connection.call('stats', {}), { code: 'connection_closed' });
  connection.notify('signal', notices.signal);
  await waitFor('the other end to see it', () => theirs.readableEnded || theirs.destroyed);
  assert.deepEqual(ends, [undefined]);
});

single('the other end closing rejects every pending call', async ({ connection, ends, theirs }) => {
  const pending = [connection.call('stats', {}), connection.call('shutdown', {})];
  theirs.end();
  for (const call of pending) await assert.rejects(call, { code: 'connection_closed' });
  assert.deepEqual(ends, [undefined]);
});

single('half a frame and then nothing is an ordinary end', async ({ theirs, ends, asked }) => {
  const whole = request(1, 'stats', {});
  theirs.end(whole.subarray(0, whole.length - 1));
  await waitFor('the end', () => ends.length > 0);
  assert.deepEqual(ends, [undefined]);
  assert.deepEqual(asked, []);
});

const fatal: readonly [what: string, bytes: Uint8Array, code: string][] = [
  ['a length over the limit', Uint8Array.of(0xff, 0xff, 0xff, 0xff), 'frame_too_large'],
  ['a length just over the limit', Uint8Array.of(0x00, 0x40, 0x00, 0x01), 'frame_too_large'],
  ['an empty frame', frame(new Uint8Array()), 'bad_frame'],
  ['no MessagePack', frame(Uint8Array.of(0xc1)), 'bad_frame'],
  ['two values in a frame', frame(Uint8Array.of(0xc0, 0xc0)), 'bad_frame'],
  ['no array', frame(encode({ type: 0 })), 'bad_message'],
  ['an unknown kind', frame(encode([3, 1, 'stats', {}])), 'bad_message'],
  ['a request that is too short', frame(encode([0, 1, 'stats'])), 'bad_message'],
  ['a request without a number', frame(encode([0, 'one', 'stats', {}])), 'bad_message'],
  ['a reply with an error that is none', frame(encode([1, 1, 'bad', null])), 'bad_message'],
  ['an unknown notification', frame(encode([2, 'weather', {}])), 'unknown_method'],
  [
    'a notification named like a method of every object',
    frame(encode([2, 'constructor', {}])),
    'unknown_method',
  ],
  [
    'a notification of a wrong type',
    frame(encode([2, 'signal', { peer: 'a', frame: 'text' }])),
    'bad_message',
  ],
];

for (const [what, bytes, code] of fatal) {
  single(
    `${what} closes the connection with ${code}, and pending calls reject with it`,
    async ({ connection, theirs, ends }) => {
      const pending = connection.call('stats', {});
      theirs.write(bytes);
      await assert.rejects(pending, { code });
      assert.equal(ends.length, 1);
      assert.equal(ends[0]?.code, code);
      await waitFor('the socket to close', () => theirs.destroyed);
    },
  );
}

single('nothing is taken in after the frame that closed the connection', async ({ theirs, ends, asked }) => {
  theirs.write(Buffer.concat([request(1, 'stats', {}), frame(Uint8Array.of(0xc1)), request(2, 'stats', {})]));
  await waitFor('the end', () => ends.length > 0);
  assert.equal(asked.length, 1);
});

test('garbage ends a connection once, with an error of the table, and harms nothing else', async (context) => {
  const pairs = await socketPairs(context);
  const bystander = await setUp(pairs);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { minLength: 1, maxLength: 4 }),
      async (chunks) => {
        const { theirs, ends, connection } = await setUp(pairs);
        const pending = connection.call('stats', {});
        for (const chunk of chunks) theirs.write(chunk);
        theirs.end();
        await assert.rejects(pending, CryonetError);
        await waitFor('the end', () => ends.length > 0);
        assert.equal(ends.length, 1);
      },
    ),
    { numRuns: 300 },
  );
  bystander.theirs.write(request(1, 'stats', {}));
  await waitFor('the reply', () => bystander.received.length === 1);
});

test('any values in whole frames: a reply to each request, or the end', async (context) => {
  const pairs = await socketPairs(context);
  const params = fc.oneof(
    fc.constantFrom<unknown>(
      ...Object.values(calls).flatMap((call) => [call.params, call.result]),
      ...Object.values(notices),
      ...examples.map(({ value }) => value),
    ),
    fc.jsonValue(),
  );
  const name = fc.oneof(fc.constantFrom(...Object.keys(calls), ...Object.keys(notices)), fc.string());
  const message = fc.oneof(
    fc.tuple(fc.constant(0), fc.nat(), name, params),
    fc.tuple(
      fc.constant(1),
      fc.nat(3),
      fc.oneof(fc.constant(null), fc.record({ code: fc.string(), message: fc.string() })),
      params,
    ),
    fc.tuple(fc.constant(2), name, params),
    fc.jsonValue(),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 5 }), async (messages) => {
      const { theirs, ends, received } = await setUp(pairs);
      for (const each of messages) theirs.write(frame(encode(each)));
      theirs.write(request(2 ** 30, 'stats', {}));
      const answered = () => received.some((reply) => Array.isArray(reply) && reply[1] === 2 ** 30);
      await waitFor('a reply or the end', () => answered() || ends.length > 0);
      for (const end of ends) assert.ok(end instanceof CryonetError);
      theirs.destroy();
    }),
    { numRuns: 300 },
  );
});

single('who does not read is dropped, with a bounded backlog', async ({ connection, theirs, ends }) => {
  theirs.pause();
  const before = process.memoryUsage().arrayBuffers;
  const chunk = { peer: 'a', frame: new Uint8Array(65_536) };
  let sent = 0;
  while (ends.length === 0 && sent < 2000) {
    connection.notify('signal', chunk);
    sent++;
  }
  assert.equal(ends[0]?.code, 'connection_closed');
  assert.match(ends[0]!.message, /does not read/);
  assert.ok(sent * 65_536 < 20 * 1024 * 1024, `${sent} frames`);
  assert.ok(process.memoryUsage().arrayBuffers - before < 64 * 1024 * 1024);
});

single('who asks and does not read the replies is dropped', async ({ theirs, ends }) => {
  theirs.pause();
  const long = request(1, 'x'.repeat(100_000), {});
  for (let i = 0; ends.length === 0 && i < 2000; i++) {
    if (!theirs.write(long)) await new Promise<void>((resolve) => setImmediate(resolve));
  }
  await waitFor('the end', () => ends.length > 0);
  assert.match(ends[0]!.message, /does not read|connection lost/);
});

test('a request that is answered after the end is answered to nobody', async (context) => {
  let release: (value: never) => void = () => {};
  const { theirs, connection, ends, asked } = await setUp(
    await socketPairs(context),
    () => new Promise((resolve) => (release = resolve)),
  );
  theirs.write(request(1, 'stats', {}));
  await waitFor('the request', () => asked.length === 1);
  connection.close();
  release({} as never);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(ends, [undefined]);
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import type * as z from 'zod/mini';
import { notifications, requests } from '../protocol/dataplane.ts';
import { CryonetError } from '../protocol/errors.ts';
import { frame } from '../protocol/frame.ts';
import { decode, encode } from '../protocol/msgpack.ts';
import { RpcConnection, type RpcEvents } from '../protocol/rpc.ts';
import { check, lastEpoch, parse } from '../protocol/schema.ts';
import { statusReport } from '../protocol/status.ts';
import { calls, methods, notices, peculiar, refusedCall } from './calls.ts';
import { type Example, examples } from './messages.ts';
import { waitFor } from './native/wait.ts';
import { RecordingSocket } from './pipe.ts';

const vectors: Readonly<Record<string, string>> = JSON.parse(
  readFileSync(new URL('./vectors/messages.json', import.meta.url), 'utf8'),
);

/** Every schema with a value that it takes. */
const schemas: readonly Example[] = [
  ...examples,
  ...methods.map((method) => ({
    name: `request ${method}`,
    schema: requests[method].params,
    value: calls[method].params,
    ...peculiar[`request ${method}`],
  })),
  ...methods.map((method) => ({
    name: `reply ${method}`,
    schema: requests[method].result,
    value: calls[method].result,
    ...peculiar[`reply ${method}`],
  })),
  ...(Object.keys(notices) as (keyof typeof notices)[]).map((name) => ({
    name: `notification ${name}`,
    schema: notifications[name],
    value: notices[name],
    ...peculiar[`notification ${name}`],
  })),
];

const silent: RpcEvents = {
  request: () => Promise.reject(new Error('not asked')),
  notification: () => {},
  closed: () => {},
};

function bytesOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'));
}

/** Every place in a value, outermost first. */
function placesIn(value: unknown, path: readonly (string | number)[] = []): (readonly (string | number)[])[] {
  const inner =
    value instanceof Uint8Array || typeof value !== 'object' || value === null
      ? []
      : Object.entries(value).flatMap(([key, each]) =>
          placesIn(each, [...path, Array.isArray(value) ? Number(key) : key]),
        );
  return [path, ...inner];
}

function at(value: unknown, path: readonly (string | number)[]): unknown {
  return path.reduce((inner, key) => (inner as Record<string, unknown>)[key], value);
}

/** A copy with one place changed. */
function changed(
  value: unknown,
  path: readonly (string | number)[],
  change: (parent: Record<string, unknown>, key: string) => void,
): unknown {
  const copy = structuredClone(value);
  change(at(copy, path.slice(0, -1)) as Record<string, unknown>, String(path.at(-1)));
  return copy;
}

function wrongFor(value: unknown): unknown[] {
  if (typeof value === 'string') return [5, [], {}, bytesOf('00')];
  if (typeof value === 'number') return ['5', {}, [], Number.NaN];
  if (typeof value === 'boolean') return ['true', 1, {}];
  if (value instanceof Uint8Array) return ['bytes', 5, [1, 2], {}];
  if (Array.isArray(value)) return [5, 'x', {}];
  if (value === null) return [{}, true];
  return [5, 'x', []];
}

function refusal(schema: z.ZodMiniType, value: unknown): CryonetError {
  try {
    check(schema, value);
  } catch (error) {
    assert.ok(error instanceof CryonetError, String(error));
    return error;
  }
  assert.fail(`taken: ${JSON.stringify(value)}`);
}

test('there is a vector for every message, and no other', () => {
  const names = [...schemas.map(({ name }) => name), 'reply error'];
  assert.deepEqual(Object.keys(vectors).sort(), names.sort());
});

for (const { name, schema, value } of examples) {
  test(`${name}: the bytes are these, and read back they are the same message`, () => {
    assert.equal(Buffer.from(encode(value)).toString('hex'), vectors[name]);
    assert.deepEqual(parse(schema, bytesOf(vectors[name]!)), value);
  });
}

for (const method of methods) {
  const { params, result } = calls[method];

  test(`request ${method}: the frame is this one, and so is its reply`, async () => {
    const asking = new RecordingSocket();
    const reply = new RpcConnection(asking.asSocket(), silent).call(method, params);
    assert.equal(asking.hex, vectors[`request ${method}`]);
    asking.push(bytesOf(vectors[`reply ${method}`]!));
    assert.deepEqual(await reply, result);

    const answering = new RecordingSocket();
    let asked: unknown;
    new RpcConnection(answering.asSocket(), {
      ...silent,
      request: async (name, given) => {
        asked = [name, given];
        return result as never;
      },
    });
    answering.push(bytesOf(vectors[`request ${method}`]!));
    await waitFor('the reply', () => answering.written.length > 0);
    assert.deepEqual(asked, [method, params]);
    assert.equal(answering.hex, vectors[`reply ${method}`]);
  });
}

for (const [name, params] of Object.entries(notices) as [keyof typeof notices, never][]) {
  test(`notification ${name}: the frame is this one`, async () => {
    const sending = new RecordingSocket();
    new RpcConnection(sending.asSocket(), silent).notify(name, params);
    assert.equal(sending.hex, vectors[`notification ${name}`]);

    const receiving = new RecordingSocket();
    let told: unknown;
    new RpcConnection(receiving.asSocket(), {
      ...silent,
      notification: (...heard) => {
        told = heard;
      },
    });
    receiving.push(bytesOf(vectors[`notification ${name}`]!));
    await waitFor('the notification', () => told !== undefined);
    assert.deepEqual(told, [name, params]);
  });
}

test('an error reply: the frame is this one, and the caller gets the error', async () => {
  const answering = new RecordingSocket();
  new RpcConnection(answering.asSocket(), silent);
  answering.push(frame(encode([0, 1, refusedCall.method, {}])));
  await waitFor('the reply', () => answering.written.length > 0);
  assert.equal(answering.hex, vectors['reply error']);

  const asking = new RecordingSocket();
  const reply = new RpcConnection(asking.asSocket(), silent).call('stats', {});
  asking.push(bytesOf(vectors['reply error']!));
  await assert.rejects(reply, { code: refusedCall.code, message: refusedCall.message });
});

for (const { name, schema, value, optional, records } of schemas) {
  test(`${name}: fields of a later version are ignored, at any depth`, () => {
    for (const place of placesIn(value)) {
      const inner = at(value, place);
      if (typeof inner !== 'object' || inner === null || Array.isArray(inner) || inner instanceof Uint8Array)
        continue;
      if (records?.includes(place.join('.'))) continue;
      const grown = structuredClone(value);
      Object.assign(at(grown, place) as object, { future: [1, { more: true }] });
      assert.deepEqual(parse(schema, encode(grown)), value);
    }
  });

  test(`${name}: a wrong type is refused by the name of its field`, () => {
    for (const place of placesIn(value)) {
      if (place.length === 0) continue;
      for (const wrong of wrongFor(at(value, place))) {
        const { code, message } = refusal(
          schema,
          changed(value, place, (parent, key) => Object.assign(parent, { [key]: wrong })),
        );
        assert.equal(code, 'bad_message');
        assert.ok(message.startsWith(place.join('.')), `${place.join('.')}: "${message}"`);
        assert.doesNotMatch(message, /\n/);
      }
    }
    for (const wrong of [null, 5, 'x', []]) assert.equal(refusal(schema, wrong).code, 'bad_message');
  });

  test(`${name}: a missing field is refused by its name, unless it is optional`, () => {
    for (const place of placesIn(value)) {
      if (place.length === 0 || typeof place.at(-1) === 'number') continue;
      const without = changed(value, place, (parent, key) => delete parent[key]);
      if (optional?.includes(place.join('.'))) assert.doesNotThrow(() => check(schema, without));
      else assert.ok(refusal(schema, without).message.startsWith(place.join('.')));
    }
  });

  test(`${name}: a changed message is taken as its schema has it, or refused with bad_frame or bad_message`, () => {
    const bytes = encode(value);
    const edits = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(edits, fc.option(fc.nat(bytes.length)), (changes, cut) => {
        const mutated = Uint8Array.from(bytes);
        for (const [where, byte] of changes) mutated[where] = byte;
        try {
          const taken = parse(schema, cut === null ? mutated : mutated.subarray(0, cut));
          assert.deepEqual(check(schema, taken), taken);
        } catch (error) {
          assert.ok(error instanceof CryonetError, String(error));
          assert.ok(error.code === 'bad_frame' || error.code === 'bad_message', error.code);
        }
      }),
      { numRuns: 150 },
    );
  });
}

test('any value at all is taken or refused with bad_message, by every schema', () => {
  const anything = fc.anything({
    withTypedArray: true,
    withNullPrototype: true,
    withBigInt: true,
    maxDepth: 3,
  });
  fc.assert(
    fc.property(
      anything,
      fc.constantFrom(...schemas.map(({ schema }) => schema), statusReport as z.ZodMiniType),
      (value, schema) => {
        try {
          check(schema, value);
        } catch (error) {
          assert.ok(error instanceof CryonetError && error.code === 'bad_message', String(error));
        }
      },
    ),
    { numRuns: 2000 },
  );
});

const limits: readonly [
  name: string,
  place: readonly (string | number)[],
  good: readonly unknown[],
  bad: readonly unknown[],
][] = [
  [
    'handshake hello',
    ['id'],
    ['a', 'A-z_9', 'x'.repeat(64)],
    ['', 'x'.repeat(65), 'a b', 'a/b', 'ä', 'a\n', '*', 'a.b'],
  ],
  [
    'handshake hello',
    ['key'],
    [new Uint8Array(32)],
    [new Uint8Array(31), new Uint8Array(33), new Uint8Array(0)],
  ],
  ['handshake hello', ['nonce'], [new Uint8Array(32)], [new Uint8Array(31), new Uint8Array(33)]],
  ['handshake hello', ['dh'], [new Uint8Array(32)], [new Uint8Array(31), new Uint8Array(33)]],
  ['handshake hello', ['epoch'], [0, lastEpoch], [-1, 1.5, lastEpoch + 1, Number.MAX_SAFE_INTEGER]],
  ['handshake proof', ['mac'], [new Uint8Array(32)], [new Uint8Array(31)]],
  ['handshake proof', ['signature'], [new Uint8Array(64)], [new Uint8Array(63)]],
  ['handshake refuse denied', ['code'], ['wrong_token'], ['internal', '']],
  ['neighbor alive', ['digest'], [new Uint8Array(8)], [new Uint8Array(7)]],
  ['neighbor alive', ['ask'], [[], Array(256).fill('a')], [Array(257).fill('a'), ['a', 'b c']]],
  ['neighbor members', ['entries'], [[]], [Array(257).fill({})]],
  ['neighbor members', ['entries', 0, 'age'], [0, 1e12], [-1, 0.5]],
  [
    'neighbor members',
    ['entries', 0, 'record'],
    [new Uint8Array(1), new Uint8Array(512)],
    [new Uint8Array(0), new Uint8Array(513)],
  ],
  ['neighbor flood to one', ['to'], ['*', 'a'], ['**', '']],
  ['neighbor flood to one', ['from'], ['a'], ['*', '']],
  ['neighbor flood to one', ['ttl'], [0, 64], [-1, 65, 1.5]],
  [
    'neighbor flood to one',
    ['body'],
    [new Uint8Array(1), new Uint8Array(32_768)],
    [new Uint8Array(0), new Uint8Array(32_769)],
  ],
  ['body offer', ['counter'], [1], [0, -1, 0.5]],
  ['body offer', ['negotiation'], ['a', '0-z'], ['', 'A', 'a_b', 'x'.repeat(33)]],
  ['body offer', ['sdp'], ['v', 'x'.repeat(16_384)], ['', 'x'.repeat(16_385)]],
  ['body offer', ['route'], ['shared', 'relay'], ['direct', '']],
  [
    'body candidate',
    ['candidates'],
    [['c'], Array(32).fill('c')],
    [[], Array(33).fill('c'), [''], ['x'.repeat(513)]],
  ],
  ['body reject denied', ['reason'], ['failed'], ['busy']],
  ['body reject failed', ['detail'], ['', 'x'.repeat(200)], ['x'.repeat(201), 1]],
  ['wire hello', ['mtu'], [1280, 65_531], [1279, 65_532, 1500.5]],
  ['wire hello with an offer of the MTU', ['carries'], [1280, 65_531], [1279, 65_532, 1500.5]],
  ['wire mtu', ['bytes'], [1280, 65_531], [1279, 65_532, 1500.5]],
  ['request hello', ['config', 'mtu'], [1280, 65_531], [1279, 65_532]],
  ['request hello', ['config', 'udpPort'], [null, 0, 65_535], [-1, 65_536]],
  [
    'request hello',
    ['config', 'identity'],
    [new Uint8Array(32)],
    [new Uint8Array(31), new Uint8Array(33), new Uint8Array(0)],
  ],
  ['request hello', ['config', 'fwmark'], [0, 0xffff_ffff], [-1, 0x1_0000_0000, 0.5]],
  ['request hello', ['config', 'dscp'], [0, 63, 'copy'], [-1, 64, 0.5, 'ef']],
  ['request hello', ['config', 'workers'], [1, 16], [0, 17, 1.5]],
  ['request offer', ['identity'], [new Uint8Array(32)], [new Uint8Array(0), new Uint8Array(33)]],
  ['request answer', ['identity'], [new Uint8Array(32)], [new Uint8Array(0), new Uint8Array(33)]],
  ['reply stats', ['links', 0, 'loss'], [null, 0, 0.5, 1], [-0.01, 1.01]],
  ['reply stats', ['links', 0, 'pathMtu'], [null, 1280, 65_535], [0.5]],
  ['notification link', ['direct', 'state'], ['up', 'trying', 'off'], ['down', '']],
  ['notification candidate', ['candidate'], ['c', 'x'.repeat(512)], ['', 'x'.repeat(513)]],
];

for (const [name, place, good, bad] of limits) {
  test(`${name}: limits of ${place.join('.')}`, () => {
    const { schema, value } = schemas.find((each) => each.name === name)!;
    const put = (what: unknown) =>
      changed(value, place, (parent, key) => Object.assign(parent, { [key]: what }));
    for (const each of good) assert.doesNotThrow(() => check(schema, put(each)));
    for (const each of bad) assert.ok(refusal(schema, put(each)).message.startsWith(place.join('.')));
  });
}

test('the largest messages that schemas allow fit their frames', () => {
  const body = new Uint8Array(32_768);
  const signature = new Uint8Array(64);
  const record = new Uint8Array(512);
  const id = 'x'.repeat(64);
  const flood = { type: 'flood', from: id, to: id, ttl: 64, body, signature, sender: { record, signature } };
  const members = {
    type: 'members',
    entries: Array(256).fill({ record, signature, age: Number.MAX_SAFE_INTEGER }),
  };
  const alive = { type: 'alive', digest: new Uint8Array(8), ask: Array(256).fill(id) };
  for (const message of [flood, members, alive]) assert.ok(encode(message).length <= 262_144);
  const report = {
    ...notices.link,
    peer: id,
    reason: 'x'.repeat(100),
    direct: { state: 'trying', reason: 'x'.repeat(100) },
    connections: Array(2).fill({ negotiation: 'x'.repeat(32), route: 'shared', open: true }),
  };
  const hello = { ...calls.hello.result, links: Array(4000).fill(report) };
  assert.ok(encode([1, 1, null, hello]).length <= 4_194_304);
  assert.deepEqual(check(requests.hello.result, decode(encode(hello))), hello);
});

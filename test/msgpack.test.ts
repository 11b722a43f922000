import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CryonetError } from '../protocol/errors.ts';
import { decode, encode } from '../protocol/msgpack.ts';

const runs = { numRuns: 2000 };

const value = fc.letrec((again) => ({
  any: fc.oneof(
    { maxDepth: 5, depthSize: 'small' },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.integer(),
    fc.double({ noNaN: true }).map((number) => number + 0),
    fc.string({ unit: 'grapheme', maxLength: 300 }),
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Uint8Array.from(bytes)),
    fc.array(again('any'), { maxLength: 40 }),
    fc.dictionary(
      fc.string({ maxLength: 40 }).filter((key) => key !== '__proto__'),
      again('any'),
      {
        maxKeys: 20,
        noNullPrototype: true,
      },
    ),
  ),
})).any;

function decodes(bytes: Uint8Array): boolean {
  try {
    decode(bytes);
    return true;
  } catch (error) {
    assert.ok(error instanceof CryonetError && error.code === 'bad_frame', String(error));
    return false;
  }
}

function bytes(...numbers: readonly number[]): Uint8Array {
  return Uint8Array.from(numbers);
}

test('whatever is encoded is decoded the same', () => {
  fc.assert(
    fc.property(value, (what) => {
      assert.deepEqual(decode(encode(what)), what);
    }),
    { numRuns: 1000 },
  );
});

test('garbage is refused with bad_frame, or is a value', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (garbage) => void decodes(garbage)),
    runs,
  );
});

test('an altered frame is refused with bad_frame, or is a value', () => {
  fc.assert(
    fc.property(
      value,
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      (what, edits) => {
        const frame = encode(what);
        for (const [at, byte] of edits) frame[at % frame.length] = byte;
        decodes(frame);
      },
    ),
    runs,
  );
});

test('a frame cut short, and one with something after it, is refused', () => {
  fc.assert(
    fc.property(value, fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 9 }), (what, cut, more) => {
      const frame = encode(what);
      assert.ok(!decodes(frame.subarray(0, cut % frame.length)));
      assert.ok(!decodes(Buffer.concat([frame, more])));
    }),
    runs,
  );
});

test('extension types, timestamps and the unused tag are refused', () => {
  for (const tag of [0xc1, 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8]) {
    assert.ok(!decodes(Buffer.concat([bytes(tag), Buffer.alloc(24)])), tag.toString(16));
    assert.ok(!decodes(Buffer.concat([bytes(0x91, tag), Buffer.alloc(24)])));
  }
});

test('a map key that is no string is refused', () => {
  for (const key of [
    bytes(0x01),
    bytes(0xc0),
    bytes(0xc4, 0x01, 0x61),
    bytes(0x90),
    bytes(0xcb, 0, 0, 0, 0, 0, 0, 0, 0),
  ]) {
    assert.ok(!decodes(Buffer.concat([bytes(0x81), key, bytes(0x01)])));
  }
  assert.deepEqual(decode(bytes(0x81, 0xd9, 0x01, 0x61, 0x01)), { a: 1 });
});

test('a key cannot reach an object’s prototype', () => {
  const frame = Buffer.concat([bytes(0x81, 0xa9), Buffer.from('__proto__'), bytes(0x81, 0xa1, 0x61, 0x01)]);
  const decoded = decode(frame) as Record<string, unknown>;
  assert.equal(decoded.a, undefined);
  assert.equal(Object.getPrototypeOf(decoded), Object.prototype);
  assert.equal(({} as Record<string, unknown>).a, undefined);
});

test('sixteen values inside each other are taken, seventeen are not', () => {
  const nested = (depth: number) => Buffer.concat([Buffer.alloc(depth, 0x91), bytes(0xc0)]);
  assert.ok(decodes(nested(16)));
  assert.ok(!decodes(nested(17)));
  assert.ok(!decodes(nested(100_000)));
});

test('a length that nothing follows costs neither time nor memory', () => {
  const before = process.memoryUsage();
  const start = performance.now();
  for (const tag of [0xdd, 0xdf, 0xc6, 0xdb]) {
    for (let i = 0; i < 1000; i++) assert.ok(!decodes(bytes(tag, 0xff, 0xff, 0xff, 0xff, 0xa0, 0xa0)));
  }
  const after = process.memoryUsage();
  assert.ok(performance.now() - start < 10_000);
  assert.ok(after.heapTotal + after.arrayBuffers - before.heapTotal - before.arrayBuffers < 64 * 1024 * 1024);
});

test('properties without a value are left out', () => {
  assert.deepEqual(decode(encode({ a: undefined, b: 1 })), { b: 1 });
});

test('what is decoded does not change with the frame', () => {
  for (const size of [1, 40, 300, 5000, 70_000]) {
    const frame = encode({ bytes: new Uint8Array(size).fill(7), text: 'x'.repeat(size) });
    const decoded = decode(frame) as { bytes: Uint8Array; text: string };
    frame.fill(0);
    assert.ok(decoded.bytes.every((byte) => byte === 7));
    assert.equal(decoded.text, 'x'.repeat(size));
  }
});

test('what is encoded does not change with the next value', () => {
  const first = encode({ bytes: new Uint8Array(1000).fill(7) });
  const copy = Uint8Array.from(first);
  for (let i = 0; i < 100; i++) encode({ bytes: new Uint8Array(1000).fill(9), i });
  assert.deepEqual(first, copy);
});

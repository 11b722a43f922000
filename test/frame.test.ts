import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CryonetError } from '../protocol/errors.ts';
import { FrameReader, frame } from '../protocol/frame.ts';

const runs = { numRuns: 2000 };

function cut(stream: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let at = 0;
  for (let i = 0; at < stream.length; i++) {
    const size = sizes.length === 0 ? stream.length : sizes[i % sizes.length]!;
    chunks.push(stream.slice(at, at + size));
    at += Math.max(1, size);
    if (size === 0) chunks.push(stream.slice(at - 1, at));
  }
  return chunks;
}

test('a frame is a big-endian u32 length and the bytes', () => {
  assert.equal(Buffer.from(frame(new Uint8Array())).toString('hex'), '00000000');
  assert.equal(Buffer.from(frame(Uint8Array.of(1, 2, 3))).toString('hex'), '00000003010203');
  assert.equal(Buffer.from(frame(new Uint8Array(70_000)).subarray(0, 5)).toString('hex'), '0001117000');
});

test('however a stream is cut, the same frames come out', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 12 }),
      fc.array(fc.nat(30), { maxLength: 10 }),
      (payloads, sizes) => {
        const reader = new FrameReader(60);
        const stream = Buffer.concat(payloads.map(frame));
        const frames = cut(stream, sizes).flatMap((chunk) => reader.push(chunk));
        assert.deepEqual(
          frames.map((each) => [...each]),
          payloads.map((each) => [...each]),
        );
      },
    ),
    runs,
  );
});

test('a large frame that comes byte by byte is the same, at a cost in proportion', () => {
  const start = process.cpuUsage();
  const payload = Uint8Array.from({ length: 65_536 }, (_, i) => i & 255);
  const reader = new FrameReader(65_536);
  const frames: Uint8Array[] = [];
  for (const byte of frame(payload)) frames.push(...reader.push(Uint8Array.of(byte)));
  assert.deepEqual(frames, [payload]);
  const { user, system } = process.cpuUsage(start);
  assert.ok(user + system < 1_500_000, `${user + system} µs of processor time`);
});

test('garbage gives frames, waits for more, or is refused with frame_too_large', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 10 }),
      fc.nat(300),
      (chunks, limit) => {
        const reader = new FrameReader(limit);
        try {
          for (const chunk of chunks) for (const each of reader.push(chunk)) assert.ok(each.length <= limit);
        } catch (error) {
          assert.ok(error instanceof CryonetError && error.code === 'frame_too_large', String(error));
        }
      },
    ),
    runs,
  );
});

test('a length over the limit is refused by its four bytes alone, and nothing is kept for it', () => {
  const before = process.memoryUsage().arrayBuffers;
  for (const size of [1001, 0x7fffffff, 0xffffffff]) {
    const header = new Uint8Array(4);
    new DataView(header.buffer).setUint32(0, size);
    const reader = new FrameReader(1000);
    assert.deepEqual(reader.push(header.subarray(0, 3)), []);
    assert.throws(() => reader.push(header.subarray(3)), {
      code: 'frame_too_large',
      message: new RegExp(`${size} bytes.*1000`),
    });
  }
  assert.ok(process.memoryUsage().arrayBuffers - before < 16 * 1024 * 1024);
});

test('a length at the limit is taken, and an empty frame is one', () => {
  const reader = new FrameReader(4);
  const stream = Buffer.concat([
    frame(Uint8Array.of(1, 2, 3, 4)),
    frame(new Uint8Array()),
    frame(Uint8Array.of(9)),
  ]);
  assert.deepEqual(
    reader.push(stream).map((each) => [...each]),
    [[1, 2, 3, 4], [], [9]],
  );
});

test('a frame is its reader’s to keep: the chunk may be used again', () => {
  const reader = new FrameReader(10);
  const chunk = frame(Uint8Array.of(1, 2, 3));
  const [taken] = reader.push(chunk);
  chunk.fill(0);
  assert.deepEqual(taken, Uint8Array.of(1, 2, 3));
});

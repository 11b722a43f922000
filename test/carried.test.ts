import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type Carried,
  carriedChannels,
  decodeCarried,
  encodeCarried,
  isCarried,
} from '../protocol/carried.ts';
import { encode } from '../protocol/msgpack.ts';
import { maxNeighborFrame } from '../protocol/signaling.ts';

const none = new Uint8Array();

const vectors: readonly [string, Carried][] = [
  ['c10003782d31aabb', { negotiation: 'x-1', channel: 'signal', record: Uint8Array.of(0xaa, 0xbb) }],
  ['c10103782d3100', { negotiation: 'x-1', channel: 'wire', record: Uint8Array.of(0) }],
  ['c1020161ff', { negotiation: 'a', channel: 'data', record: Uint8Array.of(0xff) }],
  ['c1030161', { negotiation: 'a', channel: 'end', record: none }],
];

for (const [hex, carried] of vectors)
  test(`a message on ${carried.channel} by a WebSocket has these bytes: ${hex}`, () => {
    const frame = encodeCarried(carried);
    assert.equal(Buffer.from(frame).toString('hex'), hex);
    assert.ok(isCarried(frame));
    assert.deepEqual(decodeCarried(frame), carried);
  });

test('what is written is read again, and nothing is taken for a message between neighbors', () => {
  const any = fc.record({
    negotiation: fc.stringMatching(/^[a-z0-9-]{1,32}$/),
    channel: fc.constantFrom(...carriedChannels),
    record: fc.uint8Array({ minLength: 1, maxLength: 2000 }),
  });
  fc.assert(
    fc.property(any, ({ record, ...rest }) => {
      const carried = { ...rest, record: rest.channel === 'end' ? none : record };
      assert.deepEqual(decodeCarried(encodeCarried(carried)), carried);
    }),
  );
  fc.assert(fc.property(fc.anything(), (value) => !isCarried(encode(Object(value)))));
});

test('what is cut short, too long, of another channel, or of no negotiation is refused', () => {
  const good = encodeCarried({ negotiation: 'x-1', channel: 'data', record: Uint8Array.of(1) });
  for (let length = 0; length < good.length; length++)
    assert.equal(decodeCarried(good.subarray(0, length)), undefined, `${length} bytes`);
  const bad = ['c10403782d3100', 'c1020000', 'c102035f2d3100', 'c1030161ff', '8102', ''];
  for (const hex of bad) assert.equal(decodeCarried(Buffer.from(hex, 'hex')), undefined, hex);
  const long = { negotiation: 'x', channel: 'data', record: new Uint8Array(maxNeighborFrame) } as const;
  assert.equal(decodeCarried(encodeCarried(long)), undefined);
});

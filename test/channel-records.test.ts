import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ChannelRecords, isFullPacket, type Said } from '../dataplane/io/channel-records.ts';
import { recordKind, sealRecord } from '../dataplane/io/record.ts';

const bytesOf = (text: string) => new TextEncoder().encode(text);
const key = (byte: number) => new Uint8Array(32).fill(byte);
const allSaid: readonly Said[] = ['signal', 'wire', 'full'];

/** Both ends of one connection; `cipher` is what they agreed on. */
function twoEnds(cipher: 'aes-256-gcm' | 'chacha20-poly1305' = 'aes-256-gcm') {
  const keys = (sent: number, received: number) => ({
    signal: { sendKey: key(sent), receiveKey: key(received) },
    wire: { sendKey: key(sent + 1), receiveKey: key(received + 1) },
    full: { sendKey: key(sent + 2), receiveKey: key(received + 2) },
  });
  return {
    a: new ChannelRecords({ cipher, index: 7, peerIndex: 8, keys: keys(10, 20) }),
    b: new ChannelRecords({ cipher, index: 8, peerIndex: 7, keys: keys(20, 10) }),
  };
}

for (const cipher of ['aes-256-gcm', 'chacha20-poly1305'] as const) {
  test(`what one end says the other has, in order (${cipher})`, () => {
    const { a, b } = twoEnds(cipher);
    for (const said of allSaid) {
      for (const text of ['one', '', 'three']) {
        const content = bytesOf(text);
        assert.deepEqual(b.open(said, a.seal(said, content)), content);
        assert.deepEqual(a.open(said, b.seal(said, content)), content);
      }
    }
  });
}

test('signal and wire take the next record alone, full packets any later one', () => {
  for (const said of allSaid) {
    const { a, b } = twoEnds();
    const [first, second, third] = ['1', '2', '3'].map((text) => a.seal(said, bytesOf(text)));
    assert.ok(b.open(said, first!));
    assert.equal(b.open(said, first!), undefined, 'again');
    const isLossy = said === 'full';
    assert.equal(b.open(said, third!) !== undefined, isLossy);
    assert.equal(b.open(said, second!) !== undefined, !isLossy);
  }
});

test('nothing passes as something else: another channel, the other direction, a packet', () => {
  const { a, b } = twoEnds();
  const record = a.seal('wire', bytesOf('lost'));
  assert.equal(b.open('signal', record), undefined);
  assert.equal(b.open('full', record), undefined);
  assert.equal(a.open('wire', record), undefined, 'it comes back');
  const header = { kind: recordKind.packet, index: 8, counter: 0 };
  const packet = sealRecord({ cipher: 'aes-256-gcm', key: key(11) }, header, bytesOf('lost'));
  assert.equal(b.open('wire', packet), undefined);
  assert.deepEqual(b.open('wire', record), bytesOf('lost'), 'and none of that has done any harm');
  assert.equal(isFullPacket(a.seal('full', bytesOf(''))), true);
  for (const other of [packet, record, new Uint8Array(0), new Uint8Array(1280)])
    assert.equal(isFullPacket(other), false);
});

test('no byte of a record may be another one, and none may be missing', () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 255 }), fc.boolean(), (at, change, shorter) => {
      const { a, b } = twoEnds();
      const record = a.seal('wire', bytesOf('hello'));
      const other = shorter ? record.slice(0, at % record.length) : new Uint8Array(record);
      if (!shorter) other[at % record.length]! ^= change;
      assert.equal(b.open('wire', other), undefined);
      assert.ok(b.open('wire', record));
    }),
  );
});

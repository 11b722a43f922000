import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import fc from 'fast-check';
import { OuterPackets } from '../dataplane/io/outer-packet.ts';
import { closeAfter, Pairs } from './dataplane-pair.ts';

const port = 2333;
const udp = 17;
const hasLoopback6 = Object.values(networkInterfaces())
  .flat()
  .some((each) => each?.address === '::1');

/** IPv4 (RFC 791) with a header of `words` words, then UDP. */
function ipv4(source: string, from: number, { protocol = udp, words = 5 } = {}): Uint8Array {
  const packet = new Uint8Array(words * 4 + 8);
  packet[0] = 0x40 | words;
  packet[9] = protocol;
  packet.set(source.split('.').map(Number), 12);
  new DataView(packet.buffer).setUint16(words * 4, from);
  return packet;
}

/** IPv6 (RFC 8200) from ::1, then UDP. */
function ipv6(from: number, next = udp): Uint8Array {
  const packet = new Uint8Array(48);
  packet[0] = 0x60;
  packet[6] = next;
  packet[23] = 1;
  new DataView(packet.buffer).setUint16(40, from);
  return packet;
}

test('UDP from our port and one of our addresses is a tunnel’s own packet; anything else is not', () => {
  const outer = new OuterPackets(port);
  assert.ok(outer.has(ipv4('127.0.0.1', port), 0));
  assert.ok(outer.has(ipv4('127.0.0.1', port, { words: 8 }), 0), 'with options');
  assert.ok(!outer.has(ipv4('127.0.0.1', port + 1), 0));
  assert.ok(!outer.has(ipv4('127.0.0.1', port, { protocol: 6 }), 0));
  assert.ok(!outer.has(ipv4('192.0.2.99', port), 0), 'of another machine');
});

test('the same over IPv6', { skip: hasLoopback6 ? false : 'this machine has no ::1' }, () => {
  const outer = new OuterPackets(port);
  assert.ok(outer.has(ipv6(port), 0));
  assert.ok(!outer.has(ipv6(port + 1), 0));
  assert.ok(!outer.has(ipv6(port, 6), 0));
});

test('behind packet information it is looked for four bytes later', () => {
  const outer = new OuterPackets(port);
  const withHeader = Uint8Array.of(0, 0, 8, 0, ...ipv4('127.0.0.1', port));
  assert.ok(outer.has(withHeader, 4));
  assert.ok(!outer.has(withHeader, 0));
});

test('any bytes, however short, are judged', () => {
  const outer = new OuterPackets(port);
  const cut = fc
    .tuple(fc.constantFrom(ipv4('127.0.0.1', port), ipv6(port)), fc.nat(48))
    .map(([packet, size]) => packet.subarray(0, size));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), cut), fc.constantFrom(0, 4), (packet, start) => {
      assert.equal(typeof outer.has(packet, start), 'boolean');
    }),
    { numRuns: 2000 },
  );
});

test('a tunnel’s own packet that the kernel hands to an interface is dropped and counted', async (context) => {
  const pairs = new Pairs();
  const [a, b] = [await pairs.add('a'), await pairs.add('b')];
  closeAfter(context, a, b);
  await pairs.link(a, b);
  const { counters: before } = (await a.shell.request('stats', {})).links[0]!;
  a.tun('b')!.inject(ipv4('127.0.0.1', port));
  await new Promise((resolve) => setImmediate(resolve));
  const { counters } = (await a.shell.request('stats', {})).links[0]!;
  assert.equal(counters.txDropped, before.txDropped + 1);
  assert.equal(counters.txPackets, before.txPackets);
  assert.deepEqual(b.tun('a')!.written, []);
});

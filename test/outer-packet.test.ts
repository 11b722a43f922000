/** Our own tunnel packets are told from all others, whatever a packet looks like. */
import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import fc from 'fast-check';
import { OuterPackets } from '../dataplane/io/outer-packet.ts';

const port = 2333;

/** UDP over IPv4, RFC 791 and 768, header fields that do not matter left zero. */
function ipv4(source: string, sourcePort: number, options = 0): Uint8Array {
  const packet = new Uint8Array(20 + options * 4 + 8);
  packet[0] = 0x45 + options;
  packet[9] = 17;
  packet.set(source.split('.').map(Number), 12);
  new DataView(packet.buffer).setUint16(20 + options * 4, sourcePort);
  return packet;
}

/** UDP over IPv6, RFC 8200; `::1` alone is needed here. */
function ipv6FromLoopback(sourcePort: number): Uint8Array {
  const packet = new Uint8Array(48);
  packet[0] = 0x60;
  packet[6] = 17;
  packet[23] = 1;
  new DataView(packet.buffer).setUint16(40, sourcePort);
  return packet;
}

test('UDP from our port and one of our addresses is ours, also behind options and packet information', () => {
  const outer = new OuterPackets(port);
  assert.ok(outer.has(ipv4('127.0.0.1', port), 0));
  assert.ok(outer.has(ipv4('127.0.0.1', port, 3), 0));
  const behind = new Uint8Array([0, 0, 8, 0, ...ipv4('127.0.0.1', port)]);
  assert.ok(outer.has(behind, 4));
});

test('the same over IPv6', (context) => {
  const hasIpv6 = Object.values(networkInterfaces()).some((all) =>
    all?.some(({ address }) => address === '::1'),
  );
  if (!hasIpv6) {
    context.skip('this machine has no ::1');
    return;
  }
  const outer = new OuterPackets(port);
  assert.ok(outer.has(ipv6FromLoopback(port), 0));
  assert.ok(!outer.has(ipv6FromLoopback(port + 1), 0));
});

test('another port, another protocol and the address of another machine are not', () => {
  const outer = new OuterPackets(port);
  assert.ok(!outer.has(ipv4('127.0.0.1', port + 1), 0));
  assert.ok(!outer.has(ipv4('198.18.0.1', port), 0));
  const tcp = ipv4('127.0.0.1', port);
  tcp[9] = 6;
  assert.ok(!outer.has(tcp, 0));
});

test('any bytes are a packet or none, and never an exception', () => {
  const outer = new OuterPackets(port);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.constantFrom(0, 4), (bytes, start) => {
      assert.equal(typeof outer.has(bytes, start), 'boolean');
    }),
    { numRuns: 2000 },
  );
});

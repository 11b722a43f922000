import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusalOf } from '../dataplane/io/memory-admission.ts';
import { configuring, harmless, withInformation } from './admission-packets.ts';

const ethertypeOf = (packet: Uint8Array) => (packet[0]! >> 4 === 4 ? 0x0800 : 0x86dd);

for (const [what, packet] of Object.entries(configuring)) {
  test(`${what} does not reach the kernel`, () => {
    assert.equal(refusalOf(packet, false), 'configuration');
    assert.equal(refusalOf(withInformation(ethertypeOf(packet), packet), true), 'configuration');
  });
}

for (const [what, packet] of Object.entries(harmless)) {
  test(`${what} reaches the kernel`, () => {
    assert.equal(refusalOf(packet, false), undefined);
    assert.equal(refusalOf(withInformation(ethertypeOf(packet), packet), true), undefined);
  });
}

test('with packet information only IPv4, IPv6 and MPLS reach the kernel', () => {
  const packet = harmless['an IPv4 ping']!;
  const passing: number[] = [];
  for (let type = 0; type < 65_536; type++)
    if (refusalOf(withInformation(type, packet), true) === undefined) passing.push(type);
  assert.deepEqual(passing, [0x0800, 0x86dd, 0x8847, 0x8848]);
  assert.equal(refusalOf(new Uint8Array(3), true), 'protocol');
});

test('no cut of a packet is read beyond its end', () => {
  for (const packet of [...Object.values(configuring), ...Object.values(harmless)])
    for (let length = 0; length <= packet.length; length++) refusalOf(packet.subarray(0, length), false);
});

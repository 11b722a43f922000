import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { compile, nativeSources } from './compile.ts';
import { labelled, numbered } from './packets.ts';
import { pieces, type SuperPacket, superPackets, written } from './segment-packets.ts';
import { assertSame, runCutter, type WrittenPacket } from './segment-program.ts';

const sources = ['segment-cut.c', ...['segment', 'checksum'].map((name) => join(nativeSources, `${name}.c`))];
const program = compile('segment-cut', sources, [
  '-fsanitize=address,undefined',
  '-fno-sanitize-recover=all',
]);

const cut = (packets: readonly WrittenPacket[]) => runCutter([program], packets);
const protocols = ['tcp4', 'tcp6', 'udp4', 'udp6'] as const;

/** Long enough for three packets, with everything a packet can have. */
const rich: SuperPacket = {
  protocol: 'tcp4',
  size: 100,
  payload: 250,
  ipv4Options: 8,
  extensions: [0, 60, 43],
  tcpOptions: 12,
  partial: true,
  ecn: true,
  hint: 0,
  tcpFlags: 0x099,
  identification: 0xffff,
  dontFragment: true,
  trafficClass: 3,
  sequence: 0xffff_fff0,
  hopLimit: 64,
  seed: 0x1234_5678,
  filler: 'random',
  vanishing: false,
};

test('a super-packet becomes the packets it stands for', () => {
  const several = fc.array(superPackets(protocols, 60), { minLength: 40, maxLength: 40 });
  const property = fc.property(several, (specs) => {
    const results = cut(specs.map(written));
    for (const [n, spec] of specs.entries()) assertSame(results[n], pieces(spec), JSON.stringify(spec));
  });
  // Each step of shrinking would start the program again.
  fc.assert(property, { numRuns: 40, endOnFailure: true });
});

test('FIN and PSH go with the last packet, CWR with the first, other flags with all', () => {
  const [packets = []] = cut([written(rich)]);
  assert.deepEqual(
    packets.map((packet) => packet[28 + 13]),
    [0x90, 0x10, 0x19],
  );
});

test('sequence numbers and identifications wrap around', () => {
  const [packets = []] = cut([written(rich)]);
  assert.deepEqual(
    packets.map((packet) => [packet.readUInt32BE(28 + 4), packet.readUInt16BE(4)]),
    [
      [0xffff_fff0, 0xffff],
      [0x54, 0],
      [0xb8, 1],
    ],
  );
});

test('a UDP checksum that comes out as zero is written as its other form', () => {
  for (const protocol of ['udp4', 'udp6'] as const) {
    const spec = { ...rich, protocol, vanishing: true };
    const { packet, header } = written(spec);
    const [[first] = []] = cut([{ packet, header }]);
    assert.equal(first!.readUInt16BE(header.readUInt16LE(6) + 6), 0xffff);
  }
});

test('the longest packet is cut into single bytes, and one that is longer is refused', () => {
  const spec: SuperPacket = { ...rich, size: 1, payload: 65535 - 20 - 8 - 20 - 12 };
  const { header, packet } = written(spec);
  const longer = { header: Buffer.alloc(10), packet: Buffer.concat([packet, Buffer.alloc(1)]) };
  const [packets = [], none] = cut([{ header, packet }, longer]);
  assert.equal(packet.length, 65535);
  assert.equal(packets.length, spec.payload);
  assertSame([packets.at(-1)!], [pieces(spec).at(-1)!], 'the last');
  assert(none === undefined);
});

test('what needs nothing passes unchanged, whatever it is', () => {
  const anything = [labelled(7, numbered(1)), numbered(2), Buffer.from([0xff]), Buffer.alloc(65535, 0x60)];
  const results = cut(anything.map((packet) => ({ header: Buffer.alloc(10), packet })));
  for (const [n, packet] of anything.entries()) assertSame(results[n], [packet], `packet ${n}`);
});

test('behind an MPLS label a checksum is completed all the same', () => {
  const spec: SuperPacket = { ...rich, size: undefined };
  const { header, packet } = written(spec);
  header.writeUInt16LE(header.readUInt16LE(6) + 4, 6);
  const [result] = cut([{ header, packet: labelled(7, packet) }]);
  assertSame(result, [labelled(7, pieces(spec)[0]!)], 'MPLS');
});

test('the length of the headers that the kernel tells is not believed', () => {
  for (const hint of [0, 1, 40, 300, 0xffff]) {
    const spec = { ...rich, hint };
    assertSame(cut([written(spec)])[0], pieces(spec), `hint ${hint}`);
  }
});

test('a packet that contradicts its header is refused', () => {
  const changes: [what: string, spec: Partial<SuperPacket>, change: (written: Writable) => unknown][] = [
    ['no packet', {}, (w) => (w.packet = Buffer.alloc(0))],
    ['no size', {}, ({ header }) => header.writeUInt16LE(0, 4)],
    ['UFO', { protocol: 'udp4' }, ({ header }) => (header[1] = 3)],
    ['an unknown type', {}, ({ header }) => (header[1] = 2)],
    ['ECN alone', {}, ({ header }) => (header[1] = 0x80)],
    ['ECN of UDP', { protocol: 'udp4' }, ({ header }) => (header[1] = 0x85)],
    ['IPv6 said, IPv4 given', {}, ({ header }) => (header[1] = 4)],
    ['IPv4 said, IPv6 given', { protocol: 'tcp6' }, ({ header }) => (header[1] = 1)],
    ['TCP said, UDP given', { protocol: 'udp4' }, ({ header }) => (header[1] = 1)],
    ['UDP said, TCP given', {}, ({ header }) => (header[1] = 5)],
    ['neither IPv4 nor IPv6', { protocol: 'udp4' }, ({ packet }) => (packet[0] = 0x55)],
    ['UDP without a checksum to complete', { protocol: 'udp4' }, ({ header }) => (header[0] = 0)],
    ['a checksum elsewhere', {}, ({ header }) => header.writeUInt16LE(20, 6)],
    ['a checksum of UDP in TCP', {}, ({ header }) => header.writeUInt16LE(6, 8)],
    ['a short IPv4 header', {}, ({ packet }) => (packet[0] = 0x44)],
    ['more IPv4 than there is', {}, ({ packet }) => packet.writeUInt16BE(packet.length + 1, 2)],
    ['less IPv4 than there is', {}, ({ packet }) => packet.writeUInt16BE(packet.length - 1, 2)],
    ['more IPv6 than there is', { protocol: 'tcp6' }, ({ packet }) => (packet[5]! += 1)],
    ['more UDP than there is', { protocol: 'udp4' }, ({ packet }) => (packet[28 + 5]! += 1)],
    ['a fragment', {}, ({ packet }) => (packet[6] = 0x20)],
    ['a later fragment', {}, ({ packet }) => (packet[7] = 1)],
    ['a short TCP header', {}, ({ packet }) => (packet[28 + 12] = 0x40)],
    ['an unknown extension', { protocol: 'tcp6' }, ({ packet }) => (packet[6] = 51)],
    ['an IPv6 fragment', { protocol: 'tcp6' }, ({ packet }) => (packet[6] = 44)],
    ['an endless extension', { protocol: 'tcp6' }, ({ packet }) => (packet[41] = 255)],
    [
      'a checksum past the end',
      { size: undefined },
      (w) => w.header.writeUInt16LE(w.packet.length - 28 - 1, 8),
    ],
    ['a checksum start past the end', { size: undefined }, ({ header }) => header.writeUInt16LE(0xffff, 6)],
  ];
  const packets = changes.map(([, spec, change]) => {
    const result: Writable = written({ ...rich, ...spec });
    assert(cut([result])[0] !== undefined);
    change(result);
    return result;
  });
  const results = cut(packets);
  assert.deepEqual(
    changes.filter((_, n) => results[n] !== undefined).map(([what]) => what),
    [],
  );
});

test('a packet that ends early is refused, wherever it ends', () => {
  for (const protocol of protocols) {
    const { header, packet } = written({ ...rich, protocol });
    const ends = Array.from({ length: packet.length }, (_, length) => {
      const short = Buffer.from(packet.subarray(0, length));
      if (protocol.endsWith('4') && length >= 4) short.writeUInt16BE(length, 2);
      if (protocol.endsWith('6') && length >= 40) short.writeUInt16BE(length - 40, 4);
      return { header, packet: short };
    });
    const start = header.readUInt16LE(6) + (protocol.startsWith('udp') ? 8 : 32);
    const accepted = cut(ends).flatMap((result, length) => (result === undefined ? [] : length));
    // UDP has a length of its own, which is wrong at each of these.
    const expected = protocol.startsWith('udp') ? [] : ends.map((_, length) => length).slice(start);
    assert.deepEqual(accepted, expected);
  }
});

interface Writable {
  header: Buffer;
  packet: Buffer;
}

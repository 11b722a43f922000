/**
 * Super-packets with struct virtio_net_hdr, and the packets that they stand for. Both are written from the same
 * description, each packet from scratch and byte by byte: nothing here is patched, and no sum is carried on.
 */
import fc from 'fast-check';

type Protocol = 'tcp4' | 'tcp6' | 'udp4' | 'udp6';

export interface SuperPacket {
  readonly protocol: Protocol;
  /** Bytes of payload in each packet; undefined where there is one packet and no segmentation. */
  readonly size: number | undefined;
  readonly payload: number;
  /** Bytes of IPv4 options, a multiple of 4. */
  readonly ipv4Options: number;
  /** Types of IPv6 extension headers, in order. Routing has a final destination of its own. */
  readonly extensions: readonly number[];
  /** Bytes of TCP options, a multiple of 4. */
  readonly tcpOptions: number;
  /** The kernel left the checksum to us (VIRTIO_NET_HDR_F_NEEDS_CSUM). */
  readonly partial: boolean;
  /** VIRTIO_NET_HDR_GSO_ECN. */
  readonly ecn: boolean;
  /** What the kernel says about the length of the headers: a hint, which may be wrong. */
  readonly hint: number;
  /** Flags, reserved bits among them: 12 bits. */
  readonly tcpFlags: number;
  readonly identification: number;
  readonly dontFragment: boolean;
  readonly trafficClass: number;
  readonly sequence: number;
  readonly hopLimit: number;
  /** What is not worth a field is made from this: addresses, ports, payload. */
  readonly seed: number;
  readonly filler: 'random' | 'zeros' | 'ones';
  /** The source port is chosen so that the first packet's checksum comes out as zero. */
  readonly vanishing: boolean;
}

const routing = 43;
const destination = 60;
const hopByHop = 0;
const number = { tcp: 6, udp: 17 };
const flag = { fin: 0x001, psh: 0x008, cwr: 0x080 };

/** The longest packet that the kernel hands over. */
const longest = 65535;

/** At most `pieces` packets each, of the protocols given, that the kernel segments or lets pass. */
export function superPackets(protocols: readonly Protocol[], pieces: number): fc.Arbitrary<SuperPacket> {
  const size = fc.oneof(
    fc.integer({ min: 1, max: 100 }),
    fc.integer({ min: 1200, max: 1460 }),
    fc.integer({ min: 1, max: 30_000 }),
  );
  const shape = fc.record({
    protocol: fc.constantFrom(...protocols),
    size: fc.option(size, { nil: undefined, freq: 8 }),
    whole: fc.integer({ min: 0, max: pieces - 1 }),
    rest: fc.nat(),
    ipv4Options: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 10 })).map((words) => words * 4),
    extensions: fc.oneof(
      fc.constant([]),
      fc.uniqueArray(fc.constantFrom(hopByHop, destination, routing), { maxLength: 3 }),
    ),
    tcpOptions: fc.oneof(
      fc.constant(12),
      fc.integer({ min: 0, max: 10 }).map((words) => words * 4),
    ),
    partial: fc.integer({ min: 0, max: 7 }).map((die) => die > 0),
    ecn: fc.boolean(),
    hint: fc.nat(28), // the kernel takes none that is longer than the packet
    tcpFlags: fc.oneof(fc.constant(0x010), fc.constant(0x099), fc.nat(0xfff)),
    identification: fc.oneof(fc.constant(0xffff), fc.nat(0xffff)),
    dontFragment: fc.boolean(),
    trafficClass: fc.nat(255),
    sequence: fc.oneof(fc.constant(0xffff_fff0), fc.nat(0xffff_ffff)),
    seed: fc.nat(0xffff_ffff),
    filler: fc.constantFrom('random', 'random', 'zeros', 'ones'),
    vanishing: fc.integer({ min: 0, max: 7 }).map((die) => die === 0),
  });
  return shape.map(({ whole, rest, ...drawn }) => {
    const { extensions, size } = drawn;
    const ordered = [...extensions].sort((a, b) => Number(b === hopByHop) - Number(a === hopByHop));
    const spec = { ...drawn, extensions: ordered, payload: 0, hopLimit: 64 } as const;
    const room = longest - network(spec, 0, 0).length - transportHeader(spec);
    if (size === undefined) return { ...spec, payload: rest % 2000 };
    // The kernel refuses UDP without a checksum to complete, and TCP of which only the options make it too long.
    const partial = spec.partial || spec.protocol.startsWith('udp');
    const least = partial && rest % 8 === 0 ? 0 : size + 1;
    const payload = Math.max(least, Math.min(whole * size + (rest % size) + 1, room));
    const small = payload <= size && payload + spec.tcpOptions > size;
    return { ...spec, partial, payload: small ? size + 1 : payload };
  });
}

/** The packet with struct virtio_net_hdr in front. */
export function written(spec: SuperPacket): { header: Buffer; packet: Buffer } {
  const header = Buffer.alloc(10);
  const at = network(spec, 0, 0).length;
  const udp = spec.protocol.startsWith('udp');
  if (spec.partial) {
    header[0] = 1;
    header.writeUInt16LE(at, 6);
    header.writeUInt16LE(udp ? 6 : 16, 8);
  }
  if (spec.size !== undefined) {
    header[1] = { tcp4: 1, tcp6: 4, udp4: 5, udp6: 5 }[spec.protocol] | (spec.ecn && !udp ? 0x80 : 0);
    header.writeUInt16LE(spec.hint, 2);
    header.writeUInt16LE(spec.size, 4);
  }
  const packet = packetOf(spec, { payload: payloadOf(spec), at: 0, flags: spec.tcpFlags, index: 0 });
  const field = at + (udp ? 6 : 16);
  // What is not complete holds the sum over the pseudo-header.
  packet.writeUInt16BE(spec.partial ? folded(pseudo(spec, packet.length - at)) : 0x1234, field);
  return { header, packet };
}

/** The packets that go over the wire. */
export function pieces(spec: SuperPacket): Buffer[] {
  const payload = payloadOf(spec);
  if (spec.size === undefined || payload.length <= spec.size) {
    if (!spec.partial) return [written(spec).packet];
    return [packetOf(spec, { payload, at: 0, flags: spec.tcpFlags, index: 0 })];
  }
  const packets: Buffer[] = [];
  for (let at = 0; at < payload.length; at += spec.size) {
    const last = at + spec.size >= payload.length;
    let flags = spec.tcpFlags;
    if (at > 0) flags &= ~flag.cwr;
    if (!last) flags &= ~(flag.fin | flag.psh);
    const slice = payload.subarray(at, at + spec.size);
    packets.push(packetOf(spec, { payload: slice, at, flags, index: packets.length }));
  }
  return packets;
}

interface Place {
  readonly payload: Buffer;
  /** Bytes of payload before it. */
  readonly at: number;
  readonly flags: number;
  readonly index: number;
}

function packetOf(spec: SuperPacket, place: Place): Buffer {
  const sourcePort = spec.vanishing ? vanishingPort(spec) : spec.seed & 0xffff;
  const transport = transportOf(spec, place, sourcePort);
  return Buffer.concat([network(spec, transport.length, place.index), transport]);
}

/** With its checksum. */
function transportOf(spec: SuperPacket, place: Place, sourcePort: number): Buffer {
  const udp = spec.protocol.startsWith('udp');
  const header = Buffer.alloc(transportHeader(spec));
  const length = header.length + place.payload.length;
  header.writeUInt16BE(sourcePort, 0);
  header.writeUInt16BE((spec.seed >>> 16) & 0xffff, 2);
  if (udp) {
    header.writeUInt16BE(length, 4);
  } else {
    header.writeUInt32BE((spec.sequence + place.at) % 2 ** 32, 4);
    header.writeUInt32BE(spec.seed, 8);
    header.writeUInt16BE(((header.length / 4) << 12) | place.flags, 12);
    header.writeUInt16BE(0xbeef, 14);
    header.writeUInt16BE(spec.seed & 0xffff, 18);
    noise(header.subarray(20), spec.seed + 1);
  }
  const bytes = Buffer.concat([header, place.payload]);
  const checksum = 0xffff - folded(pseudo(spec, length) + sum(bytes));
  // Only a TCP segment keeps its zero; for UDP that would be none, and what is not segmented is never given one.
  const segmented = !udp && spec.size !== undefined && spec.payload > spec.size;
  bytes.writeUInt16BE(checksum === 0 && !segmented ? 0xffff : checksum, udp ? 6 : 16);
  return bytes;
}

/** The IPv4 header, or the IPv6 header with its extensions. */
function network(spec: SuperPacket, payload: number, index: number): Buffer {
  const udp = spec.protocol.startsWith('udp');
  const protocol = udp ? number.udp : number.tcp;
  const { source, target } = addresses(spec);
  if (spec.protocol.endsWith('4')) {
    const header = Buffer.alloc(20 + spec.ipv4Options, 1); // options that do nothing
    header[0] = 0x40 | (header.length / 4);
    header[1] = spec.trafficClass;
    header.writeUInt16BE(header.length + payload, 2);
    header.writeUInt16BE((spec.identification + index) & 0xffff, 4);
    header.writeUInt16BE(spec.dontFragment ? 0x4000 : 0, 6);
    header[8] = spec.hopLimit;
    header[9] = protocol;
    header.writeUInt16BE(0, 10);
    header.set(source, 12);
    header.set(target, 16);
    header.writeUInt16BE(0xffff - folded(sum(header)), 10);
    return header;
  }
  const extensions = spec.extensions.map((type, n) =>
    extension(spec, type, spec.extensions[n + 1] ?? protocol),
  );
  const header = Buffer.alloc(40);
  header.writeUInt32BE(0x60000000 + spec.trafficClass * 0x100000 + (spec.seed & 0xfffff), 0);
  header.writeUInt16BE(Buffer.concat(extensions).length + payload, 4);
  header[6] = spec.extensions[0] ?? protocol;
  header[7] = spec.hopLimit;
  header.set(source, 8);
  header.set(target, 24);
  return Buffer.concat([header, ...extensions]);
}

/** RFC 8200, 4.3 to 4.6, and for routing RFC 8754 with one segment. */
function extension(spec: SuperPacket, type: number, next: number): Buffer {
  if (type === routing) return Buffer.concat([Buffer.from([next, 2, 4, 1, 0, 0, 0, 0]), finalTarget(spec)]);
  // One experimental option that who does not know it skips (RFC 4727).
  const length = 8 * (1 + (spec.seed % 5));
  const header = Buffer.alloc(length, 0xee);
  header.set([next, length / 8 - 1, 0x1e, length - 4]);
  return header;
}

function addresses(spec: SuperPacket): { source: Buffer; target: Buffer } {
  const host = Buffer.alloc(4);
  host.writeUInt32BE(spec.seed);
  if (spec.protocol.endsWith('4')) {
    return { source: Buffer.from([198, 18, host[0]! & 127, 1]), target: Buffer.from([198, 19, host[1]!, 2]) };
  }
  const prefix = [0x20, 0x01, 0x0d, 0xb8, 0];
  const address = (net: number) => Buffer.from([...prefix, net, ...new Array(5).fill(0), ...host, 1]);
  return { source: address(1), target: address(2) };
}

function finalTarget(spec: SuperPacket): Buffer {
  const { source, target } = addresses(spec);
  return Buffer.from(target.map((byte, n) => byte ^ source[15 - n]!));
}

function transportHeader(spec: SuperPacket): number {
  return spec.protocol.startsWith('udp') ? 8 : 20 + spec.tcpOptions;
}

/** A packet that nobody sums up beforehand is summed up by who cuts it, and that one does not look at routing. */
function pseudo(spec: SuperPacket, length: number): number {
  const { source, target } = addresses(spec);
  const routed = spec.partial && spec.protocol.endsWith('6') && spec.extensions.includes(routing);
  const protocol = spec.protocol.startsWith('udp') ? number.udp : number.tcp;
  return sum(source) + sum(routed ? finalTarget(spec) : target) + protocol + length;
}

/** With this source port instead of zero all the sum lacks is there. */
function vanishingPort(spec: SuperPacket): number {
  const { size, payload } = spec;
  const segmented = size !== undefined && payload > size;
  const flags = segmented ? spec.tcpFlags & ~(flag.fin | flag.psh) : spec.tcpFlags;
  const slice = payloadOf(spec).subarray(0, segmented ? size : payload);
  const bytes = transportOf(spec, { payload: slice, at: 0, flags, index: 0 }, 0);
  return bytes.readUInt16BE(spec.protocol.startsWith('udp') ? 6 : 16);
}

function payloadOf(spec: SuperPacket): Buffer {
  const payload = Buffer.alloc(spec.payload, spec.filler === 'ones' ? 0xff : 0);
  if (spec.filler === 'random') noise(payload, spec.seed);
  return payload;
}

/** xorshift32 (Marsaglia). */
function noise(bytes: Buffer, seed: number): void {
  let state = seed >>> 0 || 1;
  for (let at = 0; at < bytes.length; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[at] = state;
  }
}

/** RFC 1071, not folded. */
function sum(bytes: Uint8Array): number {
  let total = 0;
  for (let at = 0; at < bytes.length; at += 2) total += bytes[at]! * 256 + (bytes[at + 1] ?? 0);
  return total;
}

function folded(total: number): number {
  return total === 0 ? 0 : ((total - 1) % 0xffff) + 1;
}

/** TCP and UDP packets for the tests of coalesce.c, and every way that we know in which one may be unlike the others. */

export const kinds = ['TCP over IPv4', 'TCP over IPv6', 'UDP over IPv4', 'UDP over IPv6'] as const;
export type Kind = (typeof kinds)[number];
export const ipv6 = (kind: Kind) => kind.endsWith('IPv6');
export const udp = (kind: Kind) => kind.startsWith('UDP');

export const flag = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32, ece: 64, cwr: 128 } as const;

/** What a header says (RFC 791, 8200, 9293, 768). What a kind has no place for is left out. */
export interface Fields {
  readonly kind: Kind;
  /** The last byte of either address. */
  readonly source: number;
  readonly target: number;
  readonly ports: readonly [number, number];
  /** Type of service or traffic class, ECN among it. */
  readonly tos: number;
  readonly ttl: number;
  readonly label: number;
  readonly identification: number;
  /** Flags and offset of a fragment, 16 bits. */
  readonly fragment: number;
  readonly sequence: number;
  readonly acknowledgment: number;
  /** The four bits after TCP's data offset. */
  readonly reserved: number;
  readonly flags: number;
  readonly window: number;
  readonly urgent: number;
  readonly options: readonly number[];
  readonly ipOptions: readonly number[];
  readonly payload: Uint8Array;
}

/** TCP with timestamps, as Linux sends it. */
export const plain: Fields = {
  kind: 'TCP over IPv4',
  source: 1,
  target: 2,
  ports: [5001, 443],
  tos: 0,
  ttl: 64,
  label: 0x12345,
  identification: 0xfffe,
  fragment: 0x4000,
  sequence: 0xfffff000,
  acknowledgment: 77,
  reserved: 0,
  flags: flag.ack,
  window: 501,
  urgent: 0,
  options: [1, 1, 8, 10, 0, 0, 1, 2, 0, 0, 3, 4],
  ipOptions: [],
  payload: new Uint8Array(),
};

/** Sum of the 16-bit words (RFC 1071), folded. */
export function sum(...parts: Uint8Array[]): number {
  let total = 0;
  for (const part of parts) {
    for (let i = 0; i < part.length; i += 2) total += (part[i]! << 8) | (part[i + 1] ?? 0);
  }
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

/** The packet with right lengths and checksums. */
export function build(fields: Fields): Buffer {
  const { kind } = fields;
  const transport = udp(kind) ? udpHeader(fields) : tcpHeader(fields);
  const length = transport.length + fields.payload.length;
  const ip = ipv6(kind) ? ipv6Header(fields, length) : ipv4Header(fields, length);
  const pseudo = Buffer.alloc(4);
  pseudo.writeUInt16BE(length, 0);
  pseudo[3] = protocol(kind);
  const addresses = ipv6(kind) ? ip.subarray(8, 40) : ip.subarray(12, 20);
  const check = ~sum(addresses, pseudo, transport, fields.payload) & 0xffff;
  transport.writeUInt16BE(udp(kind) ? check || 0xffff : check, checksumAt(kind));
  return Buffer.concat([ip, transport, fields.payload]);
}

const protocol = (kind: Kind) => (udp(kind) ? 17 : 6);
/** Bytes of the IP header, without options. */
export const ipLength = (kind: Kind) => (ipv6(kind) ? 40 : 20);
/** Where the transport header has its checksum. */
const checksumAt = (kind: Kind) => (udp(kind) ? 6 : 16);

function ipv4Header(fields: Fields, length: number): Buffer {
  const header = Buffer.alloc(20 + fields.ipOptions.length);
  header[0] = 0x40 | (header.length / 4);
  header[1] = fields.tos;
  header.writeUInt16BE(header.length + length, 2);
  header.writeUInt16BE(fields.identification & 0xffff, 4);
  header.writeUInt16BE(fields.fragment, 6);
  header[8] = fields.ttl;
  header[9] = protocol(fields.kind);
  header.set([192, 0, 2, fields.source, 192, 0, 2, fields.target, ...fields.ipOptions], 12);
  header.writeUInt16BE(~sum(header) & 0xffff, 10);
  return header;
}

function ipv6Header(fields: Fields, length: number): Buffer {
  const header = Buffer.alloc(40);
  header.writeUInt32BE(((6 << 28) | (fields.tos << 20) | fields.label) >>> 0, 0);
  header.writeUInt16BE(length, 4);
  header[6] = protocol(fields.kind);
  header[7] = fields.ttl;
  header.set([0x20, 0x01, 0x0d, 0xb8], 8);
  header[23] = fields.source;
  header.set([0x20, 0x01, 0x0d, 0xb8], 24);
  header[39] = fields.target;
  return header;
}

function tcpHeader(fields: Fields): Buffer {
  const header = Buffer.alloc(20 + fields.options.length);
  header.writeUInt16BE(fields.ports[0], 0);
  header.writeUInt16BE(fields.ports[1], 2);
  header.writeUInt32BE(fields.sequence >>> 0, 4);
  header.writeUInt32BE(fields.acknowledgment, 8);
  header[12] = ((header.length / 4) << 4) | fields.reserved;
  header[13] = fields.flags;
  header.writeUInt16BE(fields.window, 14);
  header.writeUInt16BE(fields.urgent, 18);
  header.set(fields.options, 20);
  return header;
}

function udpHeader(fields: Fields): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(fields.ports[0], 0);
  header.writeUInt16BE(fields.ports[1], 2);
  header.writeUInt16BE(8 + fields.payload.length, 4);
  return header;
}

/** How one packet in the middle of a flow is unlike the others, and what is joined then:
 *  - `never`: it is in no super-packet;
 *  - `unknown`: as `never`, and it may be of any flow between its addresses;
 *  - `apart`: to none of the others, but to one that is like it;
 *  - `anew`: the next one to it, but it not to the one before;
 *  - `last`: it to the one before, but the next one not to it;
 *  - `longer`: as `anew`, but the next one ends it, being shorter;
 *  - `always`: as any other. */
export interface Deviation {
  readonly name: string;
  readonly of: (kind: Kind) => boolean;
  readonly joined: 'never' | 'unknown' | 'apart' | 'anew' | 'last' | 'longer' | 'always';
  readonly change?: (fields: Fields) => Partial<Fields>;
  readonly spoil?: (packet: Buffer, kind: Kind) => Buffer;
}

const tcpOnly = (kind: Kind) => !udp(kind);
const ipv4Only = (kind: Kind) => !ipv6(kind);
const any = () => true;

/** Adds `by` to the 16 bits at `at`. */
function add(packet: Buffer, at: number, by: number): Buffer {
  packet.writeUInt16BE((packet.readUInt16BE(at) + by) & 0xffff, at);
  return packet;
}

/** Its first bytes, with the IP header's length of these. */
function cutTo(packet: Buffer, kind: Kind, length: number): Buffer {
  const cut = packet.subarray(0, length);
  cut.writeUInt16BE(ipv6(kind) ? cut.length - 40 : cut.length, ipv6(kind) ? 4 : 2);
  return cut;
}

/** A hop-by-hop header (RFC 8200, 4.3) of 8 bytes of padding between IP and transport header. */
function hopByHop(packet: Buffer): Buffer {
  const extension = Buffer.from([packet[6]!, 0, 1, 4, 0, 0, 0, 0]);
  packet[6] = 0;
  return Buffer.concat([add(packet.subarray(0, 40), 4, 8), extension, packet.subarray(40)]);
}

/** A payload whose checksum is 0: two bytes take up what the others leave. */
function summedToZero(fields: Fields): Partial<Fields> {
  const payload = Buffer.from(fields.payload);
  if (payload.length < 2) return {};
  payload.writeUInt16BE(0, 0);
  const packet = build({ ...fields, payload });
  payload.writeUInt16BE(packet.readUInt16BE(packet.length - payload.length - headerAfter(fields)), 0);
  return { payload };
}

/** Bytes from the transport header's checksum to the payload. */
function headerAfter({ kind, options }: Fields): number {
  return udp(kind) ? 2 : 4 + options.length;
}

function withoutChecksum(packet: Buffer, kind: Kind): Buffer {
  packet.writeUInt16BE(0, ipLength(kind) + checksumAt(kind));
  return packet;
}

export const deviations: readonly Deviation[] = [
  ...(['fin', 'syn', 'rst', 'urg', 'ece', 'cwr'] as const).map((name) => ({
    name: `the flag ${name.toUpperCase()}`,
    of: tcpOnly,
    joined: 'never' as const,
    change: ({ flags }: Fields) => ({ flags: flags | flag[name] }),
  })),
  { name: 'no ACK', of: tcpOnly, joined: 'never', change: () => ({ flags: 0 }) },
  { name: 'a reserved bit', of: tcpOnly, joined: 'never', change: () => ({ reserved: 1 }) },
  { name: 'the flag PSH', of: tcpOnly, joined: 'last', change: () => ({ flags: flag.ack | flag.psh }) },
  { name: 'another acknowledgment', of: tcpOnly, joined: 'apart', change: () => ({ acknowledgment: 78 }) },
  { name: 'another window', of: tcpOnly, joined: 'apart', change: () => ({ window: 500 }) },
  { name: 'an urgent pointer', of: tcpOnly, joined: 'apart', change: () => ({ urgent: 1 }) },
  {
    name: 'another timestamp',
    of: tcpOnly,
    joined: 'apart',
    change: ({ options }) => ({ options: [...options.slice(0, -1), 9] }),
  },
  {
    name: 'more options',
    of: tcpOnly,
    joined: 'apart',
    change: ({ options }) => ({ options: [...options, 1, 1, 1, 1] }),
  },
  { name: 'no options', of: tcpOnly, joined: 'apart', change: () => ({ options: [] }) },
  {
    name: 'a gap before it',
    of: tcpOnly,
    joined: 'anew',
    change: ({ sequence }) => ({ sequence: sequence + 1 }),
  },
  {
    name: 'what was sent before',
    of: tcpOnly,
    joined: 'anew',
    change: ({ sequence, payload }) => ({ sequence: sequence - payload.length }),
  },
  {
    name: 'an identification twice',
    of: ipv4Only,
    joined: 'anew',
    change: ({ identification }) => ({ identification: identification - 1 }),
  },
  {
    name: 'an identification left out',
    of: ipv4Only,
    joined: 'anew',
    change: ({ identification }) => ({ identification: identification + 1 }),
  },
  { name: 'another TTL', of: any, joined: 'apart', change: () => ({ ttl: 63 }) },
  { name: 'another type of service', of: any, joined: 'apart', change: () => ({ tos: 0x20 }) },
  { name: 'a mark of congestion', of: any, joined: 'apart', change: () => ({ tos: 3 }) },
  { name: 'another flow label', of: ipv6, joined: 'apart', change: () => ({ label: 7 }) },
  {
    name: 'another DF',
    of: ipv4Only,
    joined: 'apart',
    change: ({ fragment }) => ({ fragment: fragment ^ 0x4000 }),
  },
  { name: 'the reserved IP flag', of: ipv4Only, joined: 'unknown', change: () => ({ fragment: 0xc000 }) },
  { name: 'fragments after it', of: ipv4Only, joined: 'unknown', change: () => ({ fragment: 0x2000 }) },
  { name: 'fragments before it', of: ipv4Only, joined: 'unknown', change: () => ({ fragment: 185 }) },
  {
    name: 'IP options',
    of: ipv4Only,
    joined: 'unknown',
    change: () => ({ ipOptions: [1, 1, 1, 0], acknowledgment: 0x50100000 }),
  },
  { name: 'an extension header', of: ipv6, joined: 'unknown', spoil: hopByHop },
  { name: 'no payload', of: any, joined: 'never', change: () => ({ payload: new Uint8Array() }) },
  {
    name: 'a shorter payload',
    of: any,
    joined: 'last',
    change: ({ payload }) => ({ payload: payload.subarray(0, Math.max(1, payload.length - 1)) }),
  },
  {
    name: 'a longer payload',
    of: any,
    joined: 'longer',
    change: ({ payload }) => ({ payload: Buffer.concat([payload, Buffer.of(1)]) }),
  },
  {
    name: 'a wrong checksum',
    of: any,
    joined: 'never',
    spoil: (packet, kind) => add(packet, ipLength(kind) + checksumAt(kind), 1),
  },
  {
    name: 'a wrong last byte',
    of: any,
    joined: 'never',
    spoil: (packet) => {
      packet[packet.length - 1]! ^= 0x10;
      return packet;
    },
  },
  { name: 'a wrong IP checksum', of: ipv4Only, joined: 'never', spoil: (packet) => add(packet, 10, 1) },
  { name: 'a checksum of 0 by computation', of: any, joined: 'always', change: summedToZero },
  {
    name: 'a checksum of 0xffff where it is 0',
    of: tcpOnly,
    joined: 'never',
    change: summedToZero,
    spoil: (packet, kind) => {
      packet.writeUInt16BE(0xffff, ipLength(kind) + checksumAt(kind));
      return packet;
    },
  },
  { name: 'no checksum', of: udp, joined: 'never', spoil: withoutChecksum },
  {
    name: 'no checksum where it is 0 by computation',
    of: udp,
    joined: 'never',
    change: summedToZero,
    spoil: withoutChecksum,
  },
  {
    name: 'a byte after its end',
    of: any,
    joined: 'unknown',
    spoil: (packet) => Buffer.concat([packet, Buffer.of(0)]),
  },
  {
    name: 'its last byte missing',
    of: any,
    joined: 'unknown',
    spoil: (packet) => packet.subarray(0, -1),
  },
  {
    name: 'a UDP length less than its own',
    of: udp,
    joined: 'unknown',
    spoil: (packet, kind) => add(packet, ipLength(kind) + 4, -1),
  },
  {
    name: 'a data offset past its end',
    of: tcpOnly,
    joined: 'unknown',
    spoil: (packet, kind) => {
      packet[ipLength(kind) + 12] = 0xf0;
      return cutTo(packet, kind, ipLength(kind) + 59);
    },
  },
  {
    name: 'a data offset of less than a header',
    of: tcpOnly,
    joined: 'unknown',
    spoil: (packet, kind) => {
      packet[ipLength(kind) + 12] = 0x40;
      return packet;
    },
  },
  {
    name: 'another protocol',
    of: any,
    joined: 'unknown',
    spoil: (packet, kind) => {
      packet[ipv6(kind) ? 6 : 9] = 132;
      return packet;
    },
  },
  {
    name: 'the ports only in part',
    of: any,
    joined: 'unknown',
    spoil: (packet, kind) => cutTo(packet, kind, ipLength(kind) + 3),
  },
];

/** Packets for tests. Each carries a number, by which tests find theirs among what the kernel sends by itself. */

export const ethertype = { ipv4: 0x0800, ipv6: 0x86dd, mpls: 0x8847 } as const;

/** RFC 1071. */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** An IPv4 packet (RFC 791) of `protocol` from `source` to `target`, dotted. */
function ipv4(source: string, target: string, protocol: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(20);
  header[0] = 0x45;
  header.writeUInt16BE(20 + payload.length, 2);
  header[8] = 64;
  header[9] = protocol;
  header.set(source.split('.').map(Number), 12);
  header.set(target.split('.').map(Number), 16);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, payload]);
}

/** An IPv4 packet of `length` bytes of an experimental protocol (RFC 3692: 253), with `number` in its payload. */
export function numbered(number: number, length = 60): Buffer {
  const payload = Buffer.alloc(length - 20, number & 0xff);
  payload.writeUInt32BE(0xc0ffee00, 0);
  payload.writeUInt32BE(number, 4);
  return ipv4('192.0.2.1', '192.0.2.2', 253, payload);
}

/** The number of a packet of `numbered`, behind `header` other bytes; undefined for any other packet. */
export function numberOf(packet: Uint8Array, header = 0): number | undefined {
  const view = Buffer.from(packet.buffer, packet.byteOffset + header, packet.length - header);
  return view.length >= 28 && view.readUInt32BE(20) === 0xc0ffee00 ? view.readUInt32BE(24) : undefined;
}

/** The header of linux/if_tun.h in front of a packet. */
export function withHeader(type: number, packet: Uint8Array): Buffer {
  return Buffer.from([0, 0, type >> 8, type & 0xff, ...packet]);
}

/** An MPLS label stack entry (RFC 3032), bottom of stack, in front of a packet. */
export function labelled(label: number, packet: Uint8Array): Buffer {
  const entry = Buffer.alloc(4);
  entry.writeUInt32BE((label << 12) | (1 << 8) | 64);
  return Buffer.concat([entry, packet]);
}

/** An ICMP echo message (RFC 792) over IPv4; type 8 asks, 0 answers. */
export function echo(source: string, target: string, type: 8 | 0, rest: Uint8Array): Buffer {
  const message = Buffer.concat([Buffer.from([type, 0, 0, 0]), rest]);
  message.writeUInt16BE(checksum(message), 2);
  return ipv4(source, target, 1, message);
}

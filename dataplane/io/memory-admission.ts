/**
 * What of a peer's packets may reach the kernel: the rule of `dataplane/native/src/admission.h` once more, for links in
 * memory, and to compare that with.
 */

/** Why a packet is refused: it is a router advertisement or a redirect, or does not show that it is none; with packet
 *  information, it is neither IPv4 nor IPv6 nor MPLS. */
export type Refusal = 'configuration' | 'protocol';

const ethertype = { ipv4: 0x0800, ipv6: 0x86dd, mpls: 0x8847, mplsMulticast: 0x8848 } as const;
const protocolNumber = { icmp: 1, fragment: 44, authentication: 51, icmpv6: 58 } as const;
/** Hop-by-hop, routing, fragment, authentication, destination, mobility, HIP, Shim6. */
const extensions: ReadonlySet<number> = new Set([0, 43, 44, 51, 60, 135, 139, 140]);
/** RFC 792; RFC 4861, sections 4.2 and 4.5. */
const redirect = 5;
const configuring: ReadonlySet<number> = new Set([134, 137]);
const mostHeaders = 12;
const ipv4Header = 20;
const ipv6Header = 40;
const packetInformation = 4;

/** Undefined for a packet that may. */
export function refusalOf(packet: Uint8Array, hasPacketInformation: boolean): Refusal | undefined {
  if (!hasPacketInformation) {
    const version = (packet[0] ?? 0) >> 4;
    return version === 6 ? ofIpv6(packet) : version === 4 ? ofIpv4(packet) : undefined;
  }
  if (packet.length < packetInformation) return 'protocol';
  const content = packet.subarray(packetInformation);
  switch (wordAt(packet, 2)) {
    case ethertype.ipv4:
      return ofIpv4(content);
    case ethertype.ipv6:
      return ofIpv6(content);
    case ethertype.mpls:
    case ethertype.mplsMulticast:
      return undefined;
    default:
      return 'protocol';
  }
}

function ofIpv4(packet: Uint8Array): Refusal | undefined {
  if (packet.length < ipv4Header || packet[9] !== protocolNumber.icmp) return undefined;
  const fragment = wordAt(packet, 6);
  // Not the first one: without that, no more than bytes.
  if ((fragment & 0x1fff) !== 0) return undefined;
  const type = packet[(packet[0]! & 15) * 4];
  if (type === undefined) return (fragment & 0x2000) === 0 ? undefined : 'configuration';
  return type === redirect ? 'configuration' : undefined;
}

function ofIpv6(packet: Uint8Array): Refusal | undefined {
  if (packet.length < ipv6Header) return undefined;
  let protocol = packet[6]!;
  let at = ipv6Header;
  let isWhole = true;
  for (let headers = 0; extensions.has(protocol); headers++) {
    if (headers === mostHeaders || at + 8 > packet.length) return 'configuration';
    const next = packet[at]!;
    const length = packet[at + 1]!;
    if (protocol === protocolNumber.fragment) {
      const fragment = wordAt(packet, at + 2);
      if ((fragment & 0xfff8) !== 0) return undefined;
      if ((fragment & 1) !== 0) isWhole = false;
      at += 8;
    } else at += protocol === protocolNumber.authentication ? (length + 2) * 4 : (length + 1) * 8;
    protocol = next;
  }
  if (protocol !== protocolNumber.icmpv6) return undefined;
  const type = packet[at];
  if (type === undefined) return isWhole ? undefined : 'configuration';
  return configuring.has(type) ? 'configuration' : undefined;
}

function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! * 256 + bytes[at + 1]!;
}

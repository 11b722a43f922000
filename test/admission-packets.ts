/** Packets for tests of what may reach the kernel. */

/** An IPv4 packet of this protocol; `fragment`: the word of flags and offset. */
function ipv4(protocol: number, content: readonly number[], fragment = 0, options = 0): Uint8Array {
  const header = new Uint8Array(20 + options * 4);
  header[0] = 0x45 + options;
  header[6] = fragment >> 8;
  header[7] = fragment & 255;
  header[9] = protocol;
  return Uint8Array.of(...header, ...content);
}

/** An IPv6 packet; what follows its header begins with one of the number `next`. */
function ipv6(next: number, ...parts: readonly (readonly number[])[]): Uint8Array {
  const header = new Uint8Array(40);
  header[0] = 0x60;
  header[6] = next;
  return Uint8Array.of(...header, ...parts.flat());
}

/** An extension header of eight bytes, and `more` times eight. */
function extension(next: number, more = 0): number[] {
  return [next, more, ...new Array(6 + 8 * more).fill(0)];
}

/** A fragment header; `offset` in units of eight bytes. */
function fragment(next: number, offset: number, isLast: boolean): number[] {
  const word = offset * 8 + (isLast ? 0 : 1);
  return [next, 0, word >> 8, word & 255, 0, 0, 0, 1];
}

export function withInformation(ethertype: number, packet: Uint8Array): Uint8Array {
  return Uint8Array.of(0, 0, ethertype >> 8, ethertype & 255, ...packet);
}

const advertisement = [134, 0, 0, 0, 64, 0, 0, 30];

/** Each of them configures a node that takes it, or does not show that it does not. */
export const configuring: Readonly<Record<string, Uint8Array>> = {
  'a router advertisement': ipv6(58, advertisement),
  'an IPv6 redirect': ipv6(58, [137, 0, 0, 0]),
  'an IPv4 redirect': ipv4(1, [5, 1, 0, 0]),
  'an IPv4 redirect behind options': ipv4(1, [5, 1, 0, 0], 0, 10),
  'the first fragment of an IPv4 redirect': ipv4(1, [5, 1, 0, 0], 0x2000),
  'a first fragment of ICMP without its type': ipv4(1, [], 0x2000),
  'an advertisement behind hop-by-hop options': ipv6(0, extension(58), advertisement),
  'an advertisement behind all kinds of headers': ipv6(
    0,
    extension(60),
    extension(43, 2),
    extension(51),
    [135, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    extension(139),
    extension(140),
    extension(58, 1),
    advertisement,
  ),
  'an advertisement in an atomic fragment': ipv6(44, fragment(58, 0, true), advertisement),
  'the first fragment of an advertisement': ipv6(44, fragment(58, 0, false), advertisement),
  'a first fragment that ends before its type': ipv6(44, fragment(60, 0, false), extension(58)),
  'a first fragment that ends within its headers': ipv6(44, fragment(60, 0, false)),
  'more extension headers than any packet has': ipv6(60, ...new Array(13).fill(extension(60)), advertisement),
};

export const harmless: Readonly<Record<string, Uint8Array>> = {
  'an IPv4 ping': ipv4(1, [8, 0, 0, 0]),
  'what could not be reached': ipv4(1, [3, 4, 0, 0]),
  'a later fragment of ICMP': ipv4(1, [5, 1, 0, 0], 0x2001),
  'UDP that looks like a redirect': ipv4(17, [5, 1, 0, 0]),
  'an IPv6 ping': ipv6(58, [128, 0, 0, 0]),
  'a neighbor solicitation': ipv6(58, [135, 0, 0, 0]),
  'a neighbor advertisement': ipv6(58, [136, 0, 0, 0]),
  'a multicast listener report behind a router alert': ipv6(0, extension(58), [143, 0, 0, 0]),
  'a later fragment': ipv6(44, fragment(58, 3, true), advertisement),
  'the first fragment of UDP': ipv6(44, fragment(17, 0, false), [0, 1, 0, 2]),
  TCP: ipv6(6, [134, 0, 0, 0]),
  ESP: ipv6(50, advertisement),
  'a packet with nothing in it': ipv6(59),
};

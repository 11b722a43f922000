/**
 * Addresses behind a NAT64 (RFC 6146). A host with IPv6 alone reaches IPv4 there by IPv6 addresses that have the IPv4 one
 * in them (RFC 6052 section 2.2); it learns the prefix by asking for the IPv6 addresses of a name that has only IPv4 ones,
 * which the network's resolver then makes up (RFC 7050).
 *
 *     bits of the prefix    bytes of the address that hold the IPv4 one; byte 8 is 0
 *                     32    4  5  6  7
 *                     40    5  6  7  9
 *                     48    6  7  9 10
 *                     56    7  9 10 11
 *                     64    9 10 11 12
 *                     96   12 13 14 15
 */
import { ipv6Groups } from '../../protocol/ipv6.ts';

export interface Nat64Prefix {
  /** Sixteen; 0 where the IPv4 address goes, and behind it. */
  readonly bytes: readonly number[];
  /** Where each byte of the IPv4 address goes. */
  readonly places: readonly number[];
}

/** RFC 7050 section 8. */
export const nat64Name = 'ipv4only.arpa';
const itsAddresses = ['192.0.0.170', '192.0.0.171'].map(ipv4Bytes);

const layouts: readonly (readonly number[])[] = [
  [4, 5, 6, 7],
  [5, 6, 7, 9],
  [6, 7, 9, 10],
  [7, 9, 10, 11],
  [9, 10, 11, 12],
  [12, 13, 14, 15],
];

/** The prefix in the addresses of `nat64Name`; undefined where none was made up, or it can be read in two ways. */
export function nat64Prefix(addresses: readonly string[]): Nat64Prefix | undefined {
  for (const address of addresses) {
    const bytes = ipv6Bytes(address);
    if (bytes === undefined) continue;
    const fitting = layouts.filter((places) =>
      itsAddresses.some((known) => places.every((place, i) => bytes[place] === known[i])),
    );
    const [places] = fitting;
    if (places === undefined || fitting.length > 1) continue;
    return { places, bytes: bytes.map((byte, i) => (i < places[0]! ? byte : 0)) };
  }
  return undefined;
}

/** By which IPv6 address the translator sends to `ipv4`; undefined where it does not. */
export function nat64Address(prefix: Nat64Prefix, ipv4: string): string | undefined {
  const target = ipv4Bytes(ipv4);
  if (isPrivate(target) && isWellKnown(prefix)) return undefined;
  const bytes = [...prefix.bytes];
  for (const [i, place] of prefix.places.entries()) bytes[place] = target[i]!;
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! * 256 + bytes[2 * i + 1]!).toString(16));
  // In the form that everybody else has it in (RFC 5952).
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}

/** 64:ff9b::/96, by which nobody translates to such addresses (RFC 6052 section 3.1). */
function isWellKnown({ bytes }: Nat64Prefix): boolean {
  return bytes.every((byte, i) => byte === ([0, 0x64, 0xff, 0x9b][i] ?? 0));
}

/** RFC 1918, RFC 6598, RFC 3927 and loopback. */
function isPrivate([a, b]: readonly number[]): boolean {
  if (a === 10 || a === 127) return true;
  if (a === 172) return b! >= 16 && b! < 32;
  if (a === 100) return b! >= 64 && b! < 128;
  return (a === 192 && b === 168) || (a === 169 && b === 254);
}

function ipv4Bytes(address: string): number[] {
  return address.split('.').map(Number);
}

/** Undefined where it is no IPv6 address. */
function ipv6Bytes(address: string): number[] | undefined {
  return ipv6Groups(address)?.flatMap((group) => [group >> 8, group & 255]);
}

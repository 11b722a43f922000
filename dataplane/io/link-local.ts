import { createHash } from 'node:crypto';

/**
 * The IPv6 link-local address (RFC 4291 section 2.5.6) of `node` on its link with `peer`: fe80::/64 and 64 bits of a
 * hash of both IDs, in this order. Either side can tell both addresses from the IDs alone.
 */
export function linkLocal(node: string, peer: string): string {
  const digest = createHash('sha256').update(`cryonet link-local\0${node}\0${peer}`).digest();
  const groups = [0, 2, 4, 6].map((at) => digest.readUInt16BE(at).toString(16));
  // A leading zero group would be written "fe80::" and shift the rest; it is one of 65,536.
  return groups[0] === '0' ? linkLocal(`${node}\0`, peer) : `fe80::${groups.join(':')}`;
}

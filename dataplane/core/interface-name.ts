/** Names of interfaces. IFNAMSIZ leaves 15 bytes (linux/if.h). */

const maxLength = 15;
const hashLength = 5;
/** RFC 4648 base32, lower case: no letter a shell or a config file minds. */
const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';

/**
 * `<prefix><peer>` where that fits, else the prefix, the start of the ID, `~` and a hash of the whole ID. An ID has no
 * `~`, so that a short form never meets a full one.
 */
export function interfaceName(prefix: string, peer: string): string {
  const full = prefix + peer;
  if (full.length <= maxLength) return full;
  return `${full.slice(0, maxLength - hashLength - 1)}~${shortHash(peer)}`;
}

/**
 * What the interface to `peer` may be called, first the name that it should have. That one may be taken: by an interface
 * of somebody else's, or by a long ID of the same short form. The second is another short form, as lasting as the first.
 * Who chooses IDs can have them take both names of another's, but not the last, a template for which the kernel finds a
 * free number.
 */
export function interfaceNames(prefix: string, peer: string): readonly string[] {
  const second = `${(prefix + peer).slice(0, maxLength - hashLength - 1)}~${shortHash(`${peer}~`)}`;
  return [interfaceName(prefix, peer), second, `${prefix}~%d`];
}

/** 25 bits of 32-bit FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/). */
function shortHash(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  hash = (hash ^ (hash >>> 25)) >>> 0;
  let digits = '';
  for (let i = 0; i < hashLength; i++) digits += alphabet[(hash >>> (5 * i)) & 31];
  return digits;
}

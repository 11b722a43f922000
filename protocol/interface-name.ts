/** Names of interfaces. IFNAMSIZ leaves 15 bytes (linux/if.h). */
import { createHash } from 'node:crypto';

const maxLength = 15;
const hashLength = 7;
/** What stands in front of the hash: the prefix, which may be one longer, and the start of the ID. */
const readableLength = maxLength - hashLength - 1;
/** RFC 4648 base32, lower case: no letter a shell or a config file minds. */
const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';

/**
 * `<prefix><peer>` where that fits, else the prefix, the start of the ID, `~` and a hash of the whole ID. An ID has no
 * `~`, so that a short form never meets a full one.
 */
export function interfaceName(prefix: string, peer: string): string {
  return isWhole(prefix, peer) ? prefix + peer : shortForm(prefix, peer, peer);
}

/**
 * What the interface to `peer` may be called, first the name that it should have. That one may be taken: by an interface
 * of somebody else's, or by a long ID of the same short form. The second is another short form, as lasting as the first.
 * Who chooses IDs can have them take both names of another's, but not the last, a template for which the kernel finds a
 * free number.
 */
export function interfaceNames(prefix: string, peer: string): readonly string[] {
  return [interfaceName(prefix, peer), shortForm(prefix, peer, `${peer}~`), `${prefix}~%d`];
}

/**
 * Whose name the one of `peer` is: of the long IDs that ask for the same, the first in `known`. What fits in 15 bytes of a
 * hash can be aimed at by who chooses an ID; who came first keeps its name all the same.
 */
export function nameOwner(prefix: string, peer: string, known: Iterable<string>): string {
  if (isWhole(prefix, peer)) return peer;
  const name = interfaceName(prefix, peer);
  const readable = name.slice(0, name.indexOf('~'));
  for (const id of known) {
    if (id === peer) return peer;
    // Hashes only what can be the same.
    if (!isWhole(prefix, id) && (prefix + id).startsWith(readable) && interfaceName(prefix, id) === name)
      return id;
  }
  return peer;
}

function isWhole(prefix: string, peer: string): boolean {
  return prefix.length + peer.length <= maxLength;
}

function shortForm(prefix: string, peer: string, hashed: string): string {
  const readable = (prefix + peer).slice(0, Math.max(prefix.length, readableLength));
  return `${readable}~${shortHash(hashed).slice(0, maxLength - 1 - readable.length)}`;
}

/** 35 bits of SHA-256. */
function shortHash(text: string): string {
  const bits = createHash('sha256').update(text).digest().readBigUInt64BE();
  return Array.from({ length: hashLength }, (_, i) => alphabet[Number((bits >> BigInt(5 * i)) & 31n)]).join(
    '',
  );
}

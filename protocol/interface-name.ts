/** Names of interfaces. IFNAMSIZ leaves 15 bytes for a name (linux/if.h). */
import { createHash } from 'node:crypto';

const maxLength = 15;
const hashLength = 7;
/** Characters before the `~`: the prefix and the start of the ID. A prefix of eight is longer and is not cut. */
const readableLength = maxLength - hashLength - 1;
/** RFC 4648 base32 in lower case, safe in shells and configuration files. */
const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';

/**
 * The name that the interface to `peer` should have: `<prefix><peer>` if that fits, else a short form of the prefix, the
 * start of the ID, `~` and a hash of the whole ID. No ID contains `~`, so a short form never equals a full name.
 */
export function interfaceName(prefix: string, peer: string): string {
  return isWhole(prefix, peer) ? prefix + peer : shortForm(prefix, peer, peer);
}

/**
 * The names that the interface to `peer` may have, best first. The first may be taken by a foreign interface or by an ID
 * with the same short form. The second is another short form, as stable as the first. Somebody who chooses an ID for it
 * can take both, but not the third, a template for which the kernel finds a free number.
 */
export function interfaceNames(prefix: string, peer: string): readonly string[] {
  return [interfaceName(prefix, peer), shortForm(prefix, peer, `${peer}~`), `${prefix}~%d`];
}

/**
 * The peer that owns the first name of `peer`: of all IDs with that name, the first in `known`. So whoever came first
 * keeps its name, even if somebody finds another ID with the same short hash.
 */
export function nameOwner(prefix: string, peer: string, known: Iterable<string>): string {
  if (isWhole(prefix, peer)) return peer;
  const name = interfaceName(prefix, peer);
  const readable = name.slice(0, name.indexOf('~'));
  for (const id of known) {
    if (id === peer) return peer;
    // Compare what is readable before hashing.
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

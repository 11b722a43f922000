/** How people are shown an identity key: as OpenSSH does it, `SHA256:` and the digest of its 32 bytes in base64 without
 *  padding. The digest itself is made by who has cryptography. */

const prefix = 'SHA256:';

/** The last character has four bits of the digest and two zeros (RFC 4648, section 3.5). */
export const fingerprintPattern = /^SHA256:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]$/;

export function isFingerprint(text: string): boolean {
  return fingerprintPattern.test(text);
}

/** `digest`: 32 bytes. */
export function fingerprintText(digest: Uint8Array): string {
  return prefix + btoa(String.fromCharCode(...digest)).replace(/=+$/, '');
}

/** The inverse of `fingerprintText`. */
export function digestOf(fingerprint: string): Uint8Array {
  return Uint8Array.from(atob(fingerprint.slice(prefix.length)), (character) => character.charCodeAt(0));
}

/** Enough of it to tell a few keys apart at a glance, and never to accept one by. */
export function shortFingerprint(fingerprint: string): string {
  return fingerprint.slice(0, prefix.length + 10);
}

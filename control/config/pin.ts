/** A key as an operator writes it: all of it in base64url, or its fingerprint. */
import { isFingerprint } from '../../protocol/fingerprint.ts';

/** The key in hexadecimal, or the fingerprint as it is; undefined for a text that is neither. */
export function pinIn(text: string): string | undefined {
  if (isFingerprint(text)) return text;
  return /^[\w-]{43}=?$/.test(text) ? Buffer.from(text, 'base64url').toString('hex') : undefined;
}

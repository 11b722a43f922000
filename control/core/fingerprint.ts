/** Fingerprints of keys in core, which is given its digest. */
import { fingerprintText, isFingerprint } from '../../protocol/fingerprint.ts';
import { bytesOf, type Environment } from './environment.ts';

export type Digest = Environment['digest'];

export function fingerprintOf(key: Uint8Array, digest: Digest): string {
  return fingerprintText(digest(key));
}

/** `pin`: a key in hexadecimal, or its fingerprint already. */
export function fingerprintOfPin(pin: string, digest: Digest): string {
  return isFingerprint(pin) ? pin : fingerprintOf(bytesOf(pin), digest);
}

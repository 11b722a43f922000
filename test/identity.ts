/** Identities for tests. */
import { generateKeyPairSync } from 'node:crypto';
import type { Identity } from '../control/io/state-directory.ts';

export function newIdentity(): Identity {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const { x } = publicKey.export({ format: 'jwk' });
  return { privateKey, publicKey: new Uint8Array(Buffer.from(x!, 'base64url')) };
}

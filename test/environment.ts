/** What core is given in tests: a clock that the test sets, and signatures that nobody else can make. */
import { createHash } from 'node:crypto';
import type { Environment } from '../control/core/environment.ts';

/** As people are shown it. */
export function fingerprintOf(key: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

export function keyOf(name: string): Uint8Array {
  return createHash('sha256').update(`key of ${name}`).digest();
}

/** `key` signs. Not a signature, but one that nobody in a test forges: a hash of key and message, twice. */
export function testEnvironment(key: Uint8Array, now: number, random: () => number = () => 0.5): Environment {
  return {
    now,
    random,
    sign: (message) => sign(key, message),
    verify: (signer, message, signature) => sign(signer, message).equals(signature),
    digest: (message) => createHash('sha256').update(message).digest(),
  };
}

function sign(signer: Uint8Array, message: Uint8Array): Buffer {
  const half = createHash('sha256').update(signer).update(message).digest();
  return Buffer.concat([half, half]);
}

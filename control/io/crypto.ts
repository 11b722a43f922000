/** The cryptography of control, all of it from node:crypto. `protocol/handshake.ts` has the formats. */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  type ScryptOptions,
  scrypt,
  sign,
  timingSafeEqual,
  verify,
} from 'node:crypto';
import { promisify } from 'node:util';
import { domain } from '../../protocol/signaling.ts';
import type { Tokens } from '../config/token.ts';
import type { Identity } from './state-directory.ts';

const stretch = promisify<string, string, number, ScryptOptions, Buffer>(scrypt);

/** The key made of the token. It takes a processor 30 ms and more, and so does each guess at a token; the event loop turns
 *  meanwhile. */
export function tokenKey(token: string): Promise<Uint8Array> {
  return stretch(token, 'cryonet.2 token', 32, { N: 16_384, r: 8, p: 1 });
}

/** The keys of a node's tokens, the one that it uses itself first. */
export type TokenKeys = readonly [Uint8Array, ...Uint8Array[]];

export async function tokenKeys([own, ...accepted]: Tokens): Promise<TokenKeys> {
  return [await tokenKey(own), ...(await Promise.all(accepted.map(tokenKey)))];
}

/** Six digits by which people tell tokens apart. They are made of the stretched key, so that who sees them pays as much for
 *  a guess as who has recorded a handshake. */
export async function tokenTag(token: string): Promise<string> {
  const key = await tokenKey(token);
  return Buffer.from(mac(key, Buffer.from(domain.tokenTag)).subarray(0, 3)).toString('hex');
}

export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

export function mac(key: Uint8Array, message: Uint8Array): Uint8Array {
  return createHmac('sha256', key).update(message).digest();
}

export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

export function signWith(identity: Identity, message: Uint8Array): Uint8Array {
  return sign(null, message, identity.privateKey);
}

/** Whether an Ed25519 signature holds; false for bytes that are no key. */
export function verifyWith(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verify(null, message, publicKey('Ed25519', key), signature);
  } catch {
    return false;
  }
}

export interface Ephemeral {
  readonly publicKey: Uint8Array;
  /** The X25519 secret with the key of `peer`. Throws for a key of small order. */
  agree(peer: Uint8Array): Uint8Array;
}

export function newEphemeral(): Ephemeral {
  const pair = generateKeyPairSync('x25519');
  const { x } = pair.publicKey.export({ format: 'jwk' });
  return {
    publicKey: new Uint8Array(Buffer.from(x!, 'base64url')),
    agree: (peer) => diffieHellman({ privateKey: pair.privateKey, publicKey: publicKey('X25519', peer) }),
  };
}

export function expand(secret: Uint8Array, salt: Uint8Array, info: Uint8Array, size: number): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, salt, info, size));
}

/** One direction of sealed frames: AES-256-GCM under a key of its own, with a counter as nonce. */
export class FrameCipher {
  readonly #key: Uint8Array;
  #counter = 0n;

  constructor(key: Uint8Array) {
    this.#key = key;
  }

  seal(plain: Uint8Array): Uint8Array {
    const cipher = createCipheriv('aes-256-gcm', this.#key, this.#nonce());
    return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  }

  /** The content of the next frame; undefined if this is not the next frame sealed with this key. */
  open(sealed: Uint8Array): Uint8Array | undefined {
    if (sealed.length < 16) return undefined;
    const decipher = createDecipheriv('aes-256-gcm', this.#key, this.#nonce());
    decipher.setAuthTag(sealed.subarray(sealed.length - 16));
    try {
      return Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]);
    } catch {
      return undefined;
    }
  }

  #nonce(): Uint8Array {
    const nonce = Buffer.alloc(12);
    nonce.writeBigUInt64BE(this.#counter++, 4);
    return nonce;
  }
}

function publicKey(curve: 'Ed25519' | 'X25519', raw: Uint8Array): KeyObject {
  const x = Buffer.from(raw).toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: curve, x }, format: 'jwk' });
}

/** Keys of the direct path, all of it node:crypto’s. Formats and their order: `protocol/direct.ts`. */
import {
  createHash,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  type DirectCipher,
  type DirectMessage,
  directCiphers,
  directVersion,
} from '../../protocol/direct.ts';
import { CryonetError } from '../../protocol/errors.ts';

const label = `cryonet direct ${directVersion}`;

export interface DirectKeyPair {
  readonly publicKey: Uint8Array;
  /** The X25519 result, 32 bytes; once, then the private key is gone. Throws `bad_message` for a key of small order. */
  agree(peer: Uint8Array): Uint8Array;
}

/** One side of an agreement. */
export interface DirectSide {
  /** Ed25519, 32 bytes. */
  readonly identity: Uint8Array;
  /** Of the DTLS certificate, as in `a=fingerprint`, with the name of the hash or without; SHA-256 only. */
  readonly fingerprint: string;
  /** What this side sent. */
  readonly message: DirectMessage;
}

/** Whoever has taken over the keys fills them with zeros. */
export interface DirectKeys {
  readonly cipher: DirectCipher;
  /** 32 bytes, for what we seal. */
  readonly sendKey: Uint8Array;
  /** 32 bytes, for what we open. */
  readonly receiveKey: Uint8Array;
}

export function newDirectKeyPair(): DirectKeyPair {
  const pair = generateKeyPairSync('x25519');
  let privateKey: KeyObject | undefined = pair.privateKey;
  const { x } = pair.publicKey.export({ format: 'jwk' });
  return {
    publicKey: new Uint8Array(Buffer.from(x!, 'base64url')),
    agree(peer) {
      if (privateKey === undefined) throw new CryonetError('internal', 'a direct key used twice');
      const own = privateKey;
      privateKey = undefined;
      try {
        const x = Buffer.from(peer).toString('base64url');
        const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x }, format: 'jwk' });
        return diffieHellman({ privateKey: own, publicKey });
      } catch (cause) {
        throw new CryonetError('bad_message', 'direct: the peer’s key is none', { cause });
      }
    },
  };
}

/**
 * What both sides seal with from now on. `secret` is what `agree` gave; it is filled with zeros, whatever happens.
 * Throws `version_mismatch`, or `bad_message` for what must not become a key.
 */
export function deriveDirectKeys(
  secret: Uint8Array,
  ours: DirectSide,
  theirs: DirectSide,
  weOffered: boolean,
): DirectKeys {
  try {
    refuseUnfit(secret, ours.message, theirs.message);
    const [offerer, answerer] = weOffered ? [ours, theirs] : [theirs, ours];
    const salt = transcript(ours.message.generation, offerer, answerer);
    const keys = new Uint8Array(hkdfSync('sha256', secret, salt, `${label} keys`, 64));
    const fromOfferer = keys.slice(0, 32);
    const fromAnswerer = keys.slice(32);
    keys.fill(0);
    return {
      cipher: commonCipher(ours.message.ciphers, theirs.message.ciphers),
      sendKey: weOffered ? fromOfferer : fromAnswerer,
      receiveKey: weOffered ? fromAnswerer : fromOfferer,
    };
  } finally {
    secret.fill(0);
  }
}

let own: readonly DirectCipher[] | undefined;

/** What this machine opens, the fastest first. */
export function ownCiphers(): readonly DirectCipher[] {
  own ??= hasAesHardware() ? directCiphers : ['chacha20-poly1305'];
  return own;
}

export function hasAesHardware(): boolean {
  try {
    return listsAes(readFileSync('/proc/cpuinfo', 'latin1'));
  } catch {
    return false;
  }
}

/** Whether each processor of a /proc/cpuinfo has instructions for AES and for GCM’s multiplication: x86 lists them
 *  as `flags` (arch/x86/kernel/cpu/proc.c), arm64 as `Features` (arch/arm64/kernel/cpuinfo.c). */
export function listsAes(cpuinfo: string): boolean {
  const processors = [...cpuinfo.matchAll(/^(flags|Features)[ \t]*:(.*)$/gm)];
  return (
    processors.length > 0 &&
    processors.every(([, kind, list]) => {
      const has = new Set(list!.trim().split(/\s+/));
      return has.has('aes') && has.has(kind === 'flags' ? 'pclmulqdq' : 'pmull');
    })
  );
}

function commonCipher(ours: readonly string[], theirs: readonly string[]): DirectCipher {
  const both = ours.includes('aes-256-gcm') && theirs.includes('aes-256-gcm');
  return both ? 'aes-256-gcm' : 'chacha20-poly1305';
}

function refuseUnfit(secret: Uint8Array, ours: DirectMessage, theirs: DirectMessage): void {
  if (theirs.version !== directVersion)
    throw new CryonetError('version_mismatch', `direct: the peer speaks version ${theirs.version}`);
  if (theirs.generation !== ours.generation)
    throw new CryonetError('bad_message', `direct: generation ${theirs.generation}, not ${ours.generation}`);
  if (Buffer.compare(theirs.key, ours.key) === 0)
    throw new CryonetError('bad_message', 'direct: our own key came back');
  if (secret.length !== 32 || secret.every((byte) => byte === 0))
    throw new CryonetError('bad_message', 'direct: the keys agree on nothing');
}

function transcript(generation: number, offerer: DirectSide, answerer: DirectSide): Uint8Array {
  const hash = createHash('sha256');
  const field = (bytes: Uint8Array) => {
    hash.update(Uint8Array.of(bytes.length >> 8, bytes.length & 255)).update(bytes);
  };
  field(Buffer.from(label));
  field(u32(generation));
  for (const { identity, fingerprint, message } of [offerer, answerer]) {
    field(identity);
    field(fingerprintBytes(fingerprint));
    field(u32(message.index));
    field(message.key);
    field(Uint8Array.of(message.ciphers.length));
    for (const name of message.ciphers) field(Buffer.from(name));
  }
  return hash.digest();
}

/** RFC 8122 section 5: hexadecimal pairs, of which the case does not matter. */
function fingerprintBytes(text: string): Uint8Array {
  const pairs = /^(?:sha-256 +)?([0-9a-f]{2}(?::[0-9a-f]{2}){31})$/i.exec(text.trim())?.[1];
  if (pairs === undefined) throw new CryonetError('bad_message', 'direct: no SHA-256 fingerprint');
  return Buffer.from(pairs.replaceAll(':', ''), 'hex');
}

function u32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

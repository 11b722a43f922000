/** Keys of links, all of it node:crypto’s. What is agreed on, and its bytes: `protocol/keys.ts`. */
import {
  createHash,
  createHmac,
  createPublicKey,
  decapsulate,
  diffieHellman,
  encapsulate,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { readFileSync } from 'node:fs';
import { CryonetError } from '../../protocol/errors.ts';
import { type LinkCipher, type LinkKeys, linkCiphers, type RenewMessage } from '../../protocol/keys.ts';
import type { Said, SaidKeys } from './channel-records.ts';

const label = 'cryonet link 1';

/** The private halves of an agreement. Each serves once, and is then gone. */
export interface OwnKeys {
  readonly keys: LinkKeys;
  /** The secret that the peer’s answer and our offer share, 64 bytes. Throws `bad_message` for keys that are none, or our
   *  own. */
  agree(answer: LinkKeys): Uint8Array;
}

/** One side of an agreement. */
export interface KeySide {
  readonly id: string;
  /** Ed25519, 32 bytes. */
  readonly identity: Uint8Array;
  readonly epoch: number;
  /** Of the DTLS certificate, as in `a=fingerprint`, with the name of the hash or without; SHA-256 only. */
  readonly fingerprint: string;
  /** What this side sent. */
  readonly keys: LinkKeys;
}

/** Whoever has taken over the keys fills them with zeros. */
export interface Keys extends SaidKeys {
  /** 32 bytes, from which the next keys are made. */
  readonly chain: Uint8Array;
}

interface X25519 {
  readonly publicKey: Uint8Array;
  /** 32 bytes. Throws `bad_message` for a key of small order and for our own. */
  agree(peer: Uint8Array): Uint8Array;
}

export function newX25519(): X25519 {
  const pair = generateKeyPairSync('x25519');
  const publicKey = new Uint8Array(pair.publicKey.export({ format: 'raw-public' }));
  const privateKey = once(pair.privateKey);
  return {
    publicKey,
    agree(peer) {
      const own = privateKey();
      if (Buffer.compare(peer, publicKey) === 0) throw unfit('our own key came back');
      try {
        return diffieHellman({ privateKey: own, publicKey: publicKeyOf('x25519', peer) });
      } catch (cause) {
        throw unfit('the peer’s X25519 key is none', cause);
      }
    },
  };
}

/** What we say of records to us: our receiver index, whether they may come by UDP, and what our interface would be. */
export type Receiving = Pick<LinkKeys, 'index' | 'udp' | 'interface'>;

/** The keys of an offer. */
export function newOfferKeys(receiving: Receiving): OwnKeys {
  const own = newX25519();
  const kem = generateKeyPairSync('ml-kem-768');
  const kemKey = once(kem.privateKey);
  const encapsulationKey = kem.publicKey.export({ format: 'raw-public' });
  return {
    keys: keysOf(receiving, own.publicKey, encapsulationKey),
    agree(answer) {
      const first = own.agree(answer.x25519);
      try {
        return joined(first, decapsulate(kemKey(), answer.kem));
      } catch (cause) {
        throw unfit('the peer’s ML-KEM ciphertext is none', cause);
      }
    },
  };
}

/** Those of the answer to an offer with these, and the secret that both share, 64 bytes. Throws `bad_message`. */
export function newAnswerKeys(
  receiving: Receiving,
  offer: LinkKeys,
): { readonly keys: LinkKeys; readonly secret: Uint8Array } {
  const own = newX25519();
  const first = own.agree(offer.x25519);
  try {
    const { ciphertext, sharedKey } = encapsulate(publicKeyOf('ml-kem-768', offer.kem));
    return { keys: keysOf(receiving, own.publicKey, ciphertext), secret: joined(first, sharedKey) };
  } catch (cause) {
    throw unfit('the peer’s ML-KEM key is none', cause);
  }
}

/** What both sides have once the answer is there. `secret` is filled with zeros, whatever happens. Throws `bad_message`. */
export function firstKeys(
  secret: Uint8Array,
  negotiation: string,
  ours: KeySide,
  theirs: KeySide,
  weOffered: boolean,
): Keys {
  try {
    const sides = weOffered ? [ours, theirs] : [theirs, ours];
    const transcript = hashOf([label, negotiation, ...sides.flatMap(fieldsOf)]);
    return keysOfChain(hmac(transcript, secret), 0, weOffered);
  } finally {
    secret.fill(0);
  }
}

type Renewal = Pick<RenewMessage, 'generation' | 'index' | 'x25519'>;

/** The keys of the next generation. `secret` is that of X25519; it and the chain are filled with zeros. */
export function nextKeys(
  chain: Uint8Array,
  secret: Uint8Array,
  ours: Renewal,
  theirs: Renewal,
  weOffered: boolean,
): Keys {
  const { generation } = ours;
  const sides = weOffered ? [ours, theirs] : [theirs, ours];
  const halves = sides.flatMap(({ index, x25519 }) => [u32(index), x25519]);
  const renewal = hashOf([`${label} renewal`, u32(generation), ...halves]);
  const salt = hmac(chain, `${label} next`, renewal, Uint8Array.of(1));
  const next = hmac(salt, secret);
  for (const used of [chain, secret, salt]) used.fill(0);
  return keysOfChain(next, generation, weOffered);
}

/** The keys for what a connection says, of the first chain. */
export function saidKeys(chain: Uint8Array, said: Said, weOffered: boolean): SaidKeys {
  return expand(chain, [`${label} ${said}`], weOffered);
}

export function commonCipher(ours: LinkKeys, theirs: LinkKeys): LinkCipher {
  const both = [ours, theirs].every(({ ciphers }) => ciphers.includes('aes-256-gcm'));
  return both ? 'aes-256-gcm' : 'chacha20-poly1305';
}

let own: readonly LinkCipher[] | undefined;

/** What this machine opens, the fastest first. */
export function ownCiphers(): readonly LinkCipher[] {
  own ??= hasAesHardware() ? linkCiphers : ['chacha20-poly1305'];
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

function keysOf(receiving: Receiving, x25519: Uint8Array, kem: Uint8Array): LinkKeys {
  return { ...receiving, x25519, kem: new Uint8Array(kem), ciphers: [...ownCiphers()], ecn: true };
}

function once(key: KeyObject): () => KeyObject {
  let left: KeyObject | undefined = key;
  return () => {
    if (left === undefined) throw new CryonetError('internal', 'a private key used twice');
    const used = left;
    left = undefined;
    return used;
  };
}

function publicKeyOf(type: 'x25519' | 'ml-kem-768', raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.from(raw), format: 'raw-public', asymmetricKeyType: type });
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array([...first, ...second]);
  first.fill(0);
  second.fill(0);
  return both;
}

function keysOfChain(chain: Uint8Array, generation: number, weOffered: boolean): Keys {
  return { ...expand(chain, [`${label} keys`, u32(generation)], weOffered), chain };
}

/** HKDF-Expand to 64 bytes, which are two blocks (RFC 5869, with SHA-256). Its Extract is `hmac(salt, secret)`. */
function expand(chain: Uint8Array, info: readonly (Uint8Array | string)[], weOffered: boolean): SaidKeys {
  const fromOfferer = hmac(chain, ...info, Uint8Array.of(1));
  const fromAnswerer = hmac(chain, fromOfferer, ...info, Uint8Array.of(2));
  return {
    sendKey: weOffered ? fromOfferer : fromAnswerer,
    receiveKey: weOffered ? fromAnswerer : fromOfferer,
  };
}

function hmac(key: Uint8Array, ...parts: readonly (Uint8Array | string)[]): Uint8Array {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

function hashOf(fields: readonly (Uint8Array | string)[]): Uint8Array {
  const hash = createHash('sha256');
  for (const field of fields) {
    const bytes = Buffer.from(field);
    hash.update(Uint8Array.of(bytes.length >> 8, bytes.length & 255)).update(bytes);
  }
  return hash.digest();
}

function fieldsOf({ id, identity, epoch, fingerprint, keys }: KeySide): (Uint8Array | string)[] {
  const { index, x25519, kem, ecn, udp, ciphers } = keys;
  const known = [id, identity, u64(epoch), fingerprintBytes(fingerprint)];
  const takes = [ecn, udp].map((does) => Uint8Array.of(Number(does)));
  return [...known, u32(index), x25519, kem, ...takes, Uint8Array.of(ciphers.length), ...ciphers];
}

/** RFC 8122 section 5: hexadecimal pairs, of which the case does not matter. */
function fingerprintBytes(text: string): Uint8Array {
  const pairs = /^(?:sha-256 +)?([0-9a-f]{2}(?::[0-9a-f]{2}){31})$/i.exec(text.trim())?.[1];
  if (pairs === undefined) throw unfit('no SHA-256 fingerprint');
  return Buffer.from(pairs.replaceAll(':', ''), 'hex');
}

function u32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function u64(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

function unfit(what: string, cause?: unknown): CryonetError {
  return new CryonetError('bad_message', `keys: ${what}`, { cause });
}

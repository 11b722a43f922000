/** One agreement on the keys of a direct path: our half of it, and the session that it gives. */
import { randomInt } from 'node:crypto';
import { type DirectMessage, directVersion } from '../protocol/direct.ts';
import type { DirectSession } from './io/direct.ts';
import { type DirectKeyPair, deriveDirectKeys, newDirectKeyPair, ownCiphers } from './io/direct-keys.ts';
import type { CandidatePair } from './io/webrtc.ts';

/** An open connection over which keys may be agreed on. */
export interface Carrier {
  readonly negotiation: string;
  /** We made its offer. */
  readonly offered: boolean;
  /** The peer's Ed25519 key. */
  readonly identity: Uint8Array;
  /** Of both DTLS certificates. */
  readonly fingerprints: { readonly ours: string; readonly theirs: string };
  /** What ICE selected. */
  readonly pair: CandidatePair;
}

export interface Exchange {
  readonly pair: DirectKeyPair;
  readonly ours: DirectMessage;
}

export interface ExchangeOptions {
  readonly generation: number;
  /** The key that this one answers. */
  readonly echo: Uint8Array | undefined;
  /** The low byte of our receiver index. */
  readonly lane: number;
  /** Indices that are in use. */
  readonly taken: { has(index: number): boolean };
}

export function newExchange({ generation, echo, lane, taken }: ExchangeOptions): Exchange {
  const pair = newDirectKeyPair();
  let index = 0;
  while (index === 0 || taken.has(index)) index = randomInt(2 ** 24) * 256 + lane;
  const ours: DirectMessage = {
    type: 'direct',
    version: directVersion,
    generation,
    index,
    key: pair.publicKey,
    ciphers: [...ownCiphers()],
    ecn: true,
    ...(echo === undefined ? {} : { echo }),
  };
  return { pair, ours };
}

/** What both messages agree on; `identity` is ours. Its keys are the caller's to wipe. Throws `version_mismatch` and
 *  `bad_message`. */
export function sessionOf(
  { pair, ours }: Exchange,
  theirs: DirectMessage,
  identity: Uint8Array,
  carrier: Carrier,
): DirectSession {
  const { fingerprints, offered } = carrier;
  const keys = deriveDirectKeys(
    pair.agree(theirs.key),
    { identity, fingerprint: fingerprints.ours, message: ours },
    { identity: carrier.identity, fingerprint: fingerprints.theirs, message: theirs },
    offered,
  );
  return { index: ours.index, peerIndex: theirs.index, ...keys, ecn: theirs.ecn === true };
}

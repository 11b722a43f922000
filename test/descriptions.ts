/** Descriptions as control knows them, without a dataplane. */
import { ciphertextSize, encapsulationKeySize, type LinkKeys } from '../protocol/keys.ts';

export const offeredKeys = keysOf(encapsulationKeySize);
export const answeredKeys = keysOf(ciphertextSize);

/** Of two nodes that both started then. */
export const epochs = { ours: 1, theirs: 1 };

function keysOf(kemSize: number): LinkKeys {
  return {
    index: 7,
    x25519: new Uint8Array(32).fill(9),
    kem: new Uint8Array(kemSize),
    ciphers: ['aes-256-gcm', 'chacha20-poly1305'],
    ecn: true,
    udp: true,
  };
}

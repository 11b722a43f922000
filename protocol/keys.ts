/**
 * The keys of a link: what each side puts into its offer or answer, and what both make of it. Control signs them with the
 * rest of the body; the private halves never leave the dataplane (`dataplane/io/link-keys.ts`).
 *
 * ## The first keys
 *
 * The offer has an X25519 public key and an ML-KEM-768 encapsulation key (FIPS 203), the answer an X25519 public key and
 * a ciphertext, so that both sides have the keys when the answer is in. Whoever breaks one of the two has nothing
 * (as in X25519MLKEM768, draft-ietf-tls-ecdhe-mlkem). A field is its length as a u16 and then its bytes; numbers are
 * big-endian:
 *
 *   side  = field(ID) ‖ field(identity, 32: Ed25519) ‖ field(epoch, u64) ‖ field(DTLS fingerprint, 32: SHA-256)
 *         ‖ field(index, u32) ‖ field(x25519, 32) ‖ field(kem) ‖ field(ecn, u8) ‖ field(udp, u8)
 *         ‖ field(number of ciphers, u8) ‖ field(name) for each cipher
 *   T     = SHA-256(field("cryonet link 1") ‖ field(negotiation) ‖ side of the offerer ‖ side of the answerer)
 *   chain = HKDF-Extract(SHA-256, salt T, ikm X25519(own private key, other’s key) ‖ ML-KEM secret)
 *   keys  = HKDF-Expand(chain, "cryonet link 1 keys" ‖ generation, u32; 64): offerer → answerer 32, then back 32
 *
 * The cipher is AES-256-GCM where both list it, else ChaCha20-Poly1305, which every node has, listed or not. A key of
 * small order, and one’s own key come back, end the negotiation.
 *
 * ## Renewal
 *
 * The offerer begins it, over `wire`, so that two never cross. Each generation is mixed with the chain of the one before,
 * which is then wiped:
 *
 *   half   = field(index, u32) ‖ field(x25519, 32)
 *   R      = SHA-256(field("cryonet link 1 renewal") ‖ field(generation, u32) ‖ half of the offerer ‖ half of the answerer)
 *   chain′ = HKDF-Extract(salt HKDF-Expand(chain, "cryonet link 1 next" ‖ R, 32), ikm X25519)
 *
 *   offerer                                                    answerer
 *     renew {generation g + 1}  ──────────────────────────►
 *                                                              installs its receiving key
 *                                ◄─────────────────────────    renew {generation g + 1, echo}
 *     installs both, sends with the new key at once
 *     a probe or packet under it  ────────────────────────►
 *                                                              sends with the new key from now on
 *
 * - The offerer’s keys are not used before the answerer can open what is sealed with them, which its answer tells; the
 *   answerer’s not before the offerer can, which a record under the new key tells. The offerer sends a probe with the new
 *   key at once, so that this does not wait for a packet. Of the first keys each side sends probes alone until a record of
 *   the other under them was opened.
 * - What was sealed before and is still under way is not lost: the receiving key of the generation before is kept until
 *   the next one’s is installed.
 * - `echo` is the `x25519` that this answers. An answer whose `echo` is another key, and a generation that is not the next
 *   one, are ignored. There is one renewal at a time, which is tried again, the same message, every 10 s until it is
 *   answered.
 * - Nothing is sealed with keys that were agreed on 180 s ago, and nothing opened after 540 s; of three generations at most
 *   (`dataplane/core/direct.ts`). A path without younger keys gives its packets to the datachannel.
 * - A new connection begins at generation 0 again, with new indices. A private key serves one agreement.
 */
import * as z from 'zod/mini';
import { bytes } from './schema.ts';

/** Names as in RFC 5116 and RFC 8439, in the order of this project's preference. */
export const linkCiphers = ['aes-256-gcm', 'chacha20-poly1305'] as const;

export type LinkCipher = (typeof linkCiphers)[number];

/** Bytes of ML-KEM-768 (FIPS 203, table 3). */
export const encapsulationKeySize = 1184;
export const ciphertextSize = 1088;

const u32 = z.int().check(z.minimum(1), z.maximum(0xffff_ffff));

const publicHalf = {
  /** What the receiver of this shall put into its records; random. */
  index: u32,
  x25519: bytes(32, 32),
};

const keysWith = (kemSize: number) =>
  z.object({
    ...publicHalf,
    /** ML-KEM-768: an encapsulation key in an offer, a ciphertext in an answer. */
    kem: bytes(kemSize, kemSize),
    /** What the sender opens, the fastest first. A name that is not known is no reason to refuse. */
    ciphers: z.array(z.string().check(z.regex(/^[a-z0-9-]{1,32}$/))).check(z.minLength(1), z.maxLength(4)),
    /** The sender brings marks of congestion in: records to it may show the ECN of what is in them (RFC 6040, section 4.1
     *  and 4.2). */
    ecn: z.boolean(),
    /** Records to the sender may come by UDP: it has a direct path to offer. */
    udp: z.boolean(),
  });

export const offerKeys = keysWith(encapsulationKeySize);
export const answerKeys = keysWith(ciphertextSize);

export type LinkKeys = z.infer<typeof offerKeys>;

/** A message on `wire`. */
export const renewMessage = z.object({
  type: z.literal('renew'),
  generation: u32,
  ...publicHalf,
  /** The `x25519` that this one answers; missing where it asks. */
  echo: z.optional(bytes(32, 32)),
});

export type RenewMessage = z.infer<typeof renewMessage>;

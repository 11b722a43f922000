/**
 * The keys of a link: what each side puts into its offer or answer, and what both derive from it. Control signs them with
 * the rest of the body; the private halves never leave the dataplane (`dataplane/io/link-keys.ts`).
 *
 * ## The first keys
 *
 * The offer has an X25519 public key and an ML-KEM-768 encapsulation key (FIPS 203), the answer an X25519 public key and
 * a ciphertext, so that both sides have the keys when the answer has arrived. Breaking only one of the two gains nothing
 * (as in X25519MLKEM768, draft-ietf-tls-ecdhe-mlkem). A field is its length as a u16 followed by its bytes; numbers are
 * big-endian:
 *
 *   side  = field(ID) ‖ field(identity, 32: Ed25519) ‖ field(epoch, u64) ‖ field(DTLS fingerprint, 32: SHA-256)
 *         ‖ field(index, u32) ‖ field(x25519, 32) ‖ field(kem) ‖ field(ecn, u8) ‖ field(udp, u8)
 *         ‖ field(number of ciphers, u8) ‖ field(name) for each cipher
 *   T     = SHA-256(field("cryonet link 1") ‖ field(negotiation) ‖ side of the offerer ‖ side of the answerer)
 *   chain = HKDF-Extract(SHA-256, salt T, ikm X25519(own private key, other’s key) ‖ ML-KEM secret)
 *   keys  = HKDF-Expand(chain, "cryonet link 1 keys" ‖ generation, u32; 64): offerer → answerer 32, then back 32
 *   said  = HKDF-Expand(chain, "cryonet link 1 " ‖ "signal", "wire" or "full"; 64): likewise, for what the connection says
 *           beside packets (`dataplane/io/channel-records.ts`), for as long as there is that connection
 *
 * The cipher is AES-256-GCM if both list it, else ChaCha20-Poly1305, which every node has, listed or not. A key of small
 * order ends the negotiation, and so does receiving one’s own key.
 *
 * ## Renewal
 *
 * Only the offerer begins a renewal, over `wire`, so that two never cross. Each generation is mixed with the chain of the
 * generation before, which is then wiped:
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
 * - A side seals with a new key only once it knows that the other can open it. The offerer knows by the answer, the
 *   answerer by the first record under the new key; the offerer sends a probe at once so that this does not wait for a
 *   packet. The first keys are used once both ends have said `ready` on `wire`, before which each has installed them; or
 *   once a record under them came: either end may send a probe to the pair that ICE has, which an end without them drops.
 * - Records under way are not lost: the receiving key of the generation before is kept while the current one is used.
 * - `echo` is the `x25519` that the answer replies to. An answer with another `echo` is ignored, and so is a generation
 *   that is not the next one. There is one renewal at a time; the same message is repeated every 10 s until it is answered.
 * - Keys seal for 180 s after they were agreed on, and open for 540 s; at most three generations open records
 *   (`dataplane/core/keypairs.ts`). Without younger keys, packets are dropped.
 * - A new connection begins at generation 0, with new indices. A private key serves one agreement.
 */
import * as z from 'zod/mini';
import { bytes, mtu } from './schema.ts';

/** Names as in RFC 5116 and RFC 8439, in the order of this project's preference. */
export const linkCiphers = ['aes-256-gcm', 'chacha20-poly1305'] as const;

export type LinkCipher = (typeof linkCiphers)[number];

/** Bytes of ML-KEM-768 (FIPS 203, table 3). */
export const encapsulationKeySize = 1184;
export const ciphertextSize = 1088;

const u32 = z.int().check(z.minimum(1), z.maximum(0xffff_ffff));

const publicHalf = {
  /** The receiver index that the other side puts into its records; random. */
  index: u32,
  x25519: bytes(32, 32),
};

const keysWith = (kemSize: number) =>
  z.object({
    ...publicHalf,
    /** ML-KEM-768: an encapsulation key in an offer, a ciphertext in an answer. */
    kem: bytes(kemSize, kemSize),
    /** The ciphers that the sender can open, fastest first. Unknown names are ignored. */
    ciphers: z.array(z.string().check(z.regex(/^[a-z0-9-]{1,32}$/))).check(z.minLength(1), z.maxLength(4)),
    /** The sender copies congestion marks of records into packets, so records to it may show the ECN of their packets
     *  (RFC 6040, sections 4.1 and 4.2). */
    ecn: z.boolean(),
    /** The sender accepts records by UDP: it has a direct path to offer. */
    udp: z.boolean(),
    /** What `hello` will say of the sender's interface, if it has none for this peer yet: with it the direct path begins
     *  before there are datachannels. `mtu`: what the sender offers at first. Not in the transcript. */
    interface: z.optional(z.object({ packetInformation: z.boolean(), mtu })),
  });

export const offerKeys = keysWith(encapsulationKeySize);
export const answerKeys = keysWith(ciphertextSize);

export type LinkKeys = z.infer<typeof offerKeys>;

/** A message on `wire`. */
export const renewMessage = z.object({
  type: z.literal('renew'),
  generation: u32,
  ...publicHalf,
  /** In an answer: the `x25519` that it replies to. Missing in a request. */
  echo: z.optional(bytes(32, 32)),
});

export type RenewMessage = z.infer<typeof renewMessage>;

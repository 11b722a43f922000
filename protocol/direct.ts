/**
 * The direct path: AEAD records over UDP, and how two dataplanes agree on their keys over `wire`.
 *
 * ## Records
 *
 * One record is one datagram; numbers are big-endian, the header is authenticated (`dataplane/native/src/record.h`):
 *
 *   offset  bytes
 *        0      1  0xc0: nothing that STUN, DTLS, TURN or RTP begin with (RFC 7983)
 *        1      1  kind: 0 packet, 1 probe, 2 reply
 *        2      1  lane: the thread that sealed it
 *        3      1  flags: 1 on a TCP or UDP packet whose checksum field holds the folded sum over its pseudo-header
 *                  alone (not complemented; RFC 9293, 3.1 and RFC 8200, 8.1): to be completed by who needs it; else 0
 *        4      4  index: the receiver’s, as it told it in its `direct`
 *        8      8  counter: from 0, never twice under one key, whatever the lane
 *       16      n  ciphertext
 *   16 + n     16  tag
 *
 *   nonce = 0⁴ ‖ counter, additional data = bytes 0 to 15
 *
 * ## Where records go
 *
 * At first to where ICE found the peer. The newest record of a session that comes from another address is answered there
 * by a probe whose number and time, the 12 bytes that its reply brings back, are random; records go to that address once
 * they have come back (RFC 9000, section 8.2), and until then to the one before. So neither a record that somebody else
 * has sent again or first, nor one with a source that is not its sender’s, moves anything to an address that does not
 * answer. A reply goes to where its probe came from.
 *
 * ## Keys
 *
 * A field is its length as a u16 and then its bytes. Each side puts in what it sent and what it is known by:
 *
 *   side = field(identity, 32: Ed25519) ‖ field(DTLS fingerprint, 32: SHA-256 of the certificate)
 *        ‖ field(index, u32) ‖ field(key, 32: X25519) ‖ field(number of ciphers, u8) ‖ field(name) for each cipher
 *   T    = SHA-256(field("cryonet direct 1") ‖ field(generation, u32) ‖ side of the offerer ‖ side of the answerer)
 *   PRK  = HKDF-Extract(SHA-256, salt T, ikm X25519(own private key, other's key))
 *   keys = HKDF-Expand(PRK, info "cryonet direct 1 keys", 64): offerer → answerer 32, answerer → offerer 32
 *
 * The cipher is AES-256-GCM where both list it, else ChaCha20-Poly1305, which every node has, listed or not. An
 * exchanged key of small order, and one's own key come back, end the attempt.
 *
 * ## Who sends what when
 *
 * The offerer is the side whose description was the offer; it alone begins a renewal, so that two never cross.
 *
 *   offerer                                                    answerer
 *     wire opens: direct {generation 0}  ──►  ◄──  direct {generation 0}: wire opens
 *     both installed for receiving                             both installed for receiving
 *     probe under the new key  ──►                        ◄──  probe under the new key
 *
 *     direct {generation g + 1}  ─────────────────────────►
 *                                                              installs its receiving key
 *                                ◄─────────────────────────    direct {generation g + 1, echo}
 *     installs both, sends with the new key at once
 *     a probe or packet under it  ────────────────────────►
 *                                                              sends with the new key from now on
 *
 * - Generation 0 is not asked for and not answered; it has no `echo`. Either side may get the other's first record
 *   before the other's `direct`: a record of an unknown index is dropped, and only probes are sent until one record
 *   of the peer under these keys was opened. Packets go on as before until then, by the datachannel or, where this
 *   is a new connection of a link that has a direct path, under the old keys.
 * - A renewal: the offerer's keys are not used before the answerer can open what is sealed with them, which its answer
 *   tells; the answerer's not before the offerer can, which a record under the new key tells. The offerer sends a
 *   probe with the new key at once, so that this does not wait for a packet.
 * - What was sealed before and is still under way is not lost: the receiving key of the generation before is kept
 *   until the next one's is installed.
 * - `echo` is the `key` that this answers. An answer whose `echo` is another key, and a generation that is not the
 *   next one, are ignored. There is one renewal at a time, which is tried again, the same message, every 10 s until
 *   it is answered.
 * - Nothing is sealed with keys that were agreed on 180 s ago, and nothing opened after 540 s; of three generations at
 *   most (`dataplane/core/direct.ts`). A path without younger keys gives its packets to the datachannel.
 * - A new connection begins at generation 0 again, with new indices.
 * - A private key serves one agreement.
 */
import * as z from 'zod/mini';
import { bytes } from './schema.ts';

export const directVersion = 1;

/** Names as in RFC 5116 and RFC 8439, in the order of this project's preference. */
export const directCiphers = ['aes-256-gcm', 'chacha20-poly1305'] as const;

export type DirectCipher = (typeof directCiphers)[number];

const u32 = (min: number) => z.int().check(z.minimum(min), z.maximum(0xffff_ffff));

export const directMessage = z.object({
  type: z.literal('direct'),
  version: z.int(),
  generation: u32(0),
  /** What the receiver of this shall put into its records; random. */
  index: u32(1),
  /** X25519. */
  key: bytes(32, 32),
  /** What the sender opens, the fastest first. A name that is not known is no reason to refuse. */
  ciphers: z.array(z.string().check(z.regex(/^[a-z0-9-]{1,32}$/))).check(z.minLength(1), z.maxLength(4)),
  /** The sender brings marks of congestion in: records to it may show the ECN of what is in them (RFC 6040, section 4.1
   *  and 4.2). */
  ecn: z.optional(z.boolean()),
  /** The `key` that this one answers; empty or missing where it answers none. */
  echo: z.optional(bytes(0, 32)),
});

export type DirectMessage = z.infer<typeof directMessage>;

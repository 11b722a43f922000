/**
 * The WebSocket handshake, subprotocol `cryonet.2`. All four messages are binary, one MessagePack map each:
 *
 *   client                                   server
 *     hello {id, key, epoch, nonce, dh}  →
 *                                        ←   hello {id, key, epoch, nonce, dh}
 *     proof {mac, signature, refuse?}    →
 *                                        ←   proof {mac, signature}   or   refuse {code, key?, mac?, signature?}
 *
 *   T         = SHA-256(client hello bytes ‖ server hello bytes)
 *   K         = scrypt(token, "cryonet.2 token", N = 2¹⁴, r = 8, p = 1), 32 bytes
 *   mac       = HMAC-SHA-256(K, domain ‖ T)         domain: `clientProof` or `serverProof`
 *   signature = Ed25519(identity, domain ‖ T)
 *
 * A side that refuses the other proves itself all the same, with the domain `clientRefusal` or `serverRefusal` and
 * code ‖ 0 ‖ key after T, so that the other side can believe the refusal. A refusal without a proof is a reason to try
 * again, and nothing more.
 *
 *   frame keys = HKDF-SHA-256(ikm X25519(dh), salt K, info "cryonet.2 frames" ‖ T), 64 bytes: client → server, then back
 *
 * Every later message is AES-256-GCM(frame key, nonce = 0⁴ ‖ u64 counter from 0): ciphertext ‖ 16-byte tag.
 * A server with several tokens goes on with the one that the client's `mac` is made by; a client has one.
 * The token itself is never sent. scrypt makes guessing it from a recorded `mac` expensive.
 * For who has an invitation in place of a token, `invitation.ts` says what is another.
 */
import * as z from 'zod/mini';
import { bytes, epoch, nodeId } from './schema.ts';

export const subprotocol = 'cryonet.2';

export const helloMessage = z.object({
  type: z.literal('hello'),
  id: nodeId,
  key: bytes(32, 32),
  epoch,
  nonce: bytes(32, 32),
  dh: bytes(32, 32),
});

export const refuseCodes = [
  'wrong_token',
  'id_in_use',
  'identity_mismatch',
  'key_in_use',
  'already_connected',
  'denied',
  'version_mismatch',
  ...([
    'unknown_invitation',
    'invitation_expired',
    'invitation_used',
    'invitation_other',
    'unavailable',
  ] as const),
] as const;

const refusal = z.object({
  code: z.enum(refuseCodes),
  /** With `id_in_use` and `identity_mismatch`: the key that the refusing side knows for the ID. */
  key: z.optional(bytes(32, 32)),
});

const proof = { mac: bytes(32, 32), signature: bytes(64, 64) };

export const proofMessage = z.object({ type: z.literal('proof'), ...proof, refuse: z.optional(refusal) });

const refuseMessage = z.extend(refusal, { type: z.literal('refuse'), ...z.partial(z.object(proof)).shape });

export const handshakeMessage = z.discriminatedUnion('type', [helloMessage, proofMessage, refuseMessage]);

export type Hello = z.infer<typeof helloMessage>;
export type RefuseCode = (typeof refuseCodes)[number];
export type Refusal = z.infer<typeof refusal>;

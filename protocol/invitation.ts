/**
 * An invitation lets a machine into a mesh that has not got the token yet: `cryonet-join:v1:` and base64url of a MessagePack
 * map and four bytes of its SHA-256, by which a text that was cut or mistyped is known.
 *
 * The invitee makes an Ed25519 key of the secret, and the inviter keeps the public half alone, so that who reads what it
 * keeps is not invited:
 *
 *   seed = HKDF-SHA-256(secret, "cryonet.2 invitation"), 32 bytes of RFC 8032
 *   K    = HKDF-SHA-256(public key, "cryonet.2 invited"), in place of the token's in `handshake.ts`
 *
 * The handshake is that of nodes: the invitee's `hello` has this key as its own, and the domains of all proofs are others.
 * K is no secret; what proves the invitee is its signature, and what proves the inviter is that of the key whose fingerprint
 * the invitation has. The invitee proves nothing to another one. Then the inviter says one sealed `welcome`, and closes.
 */
import * as z from 'zod/mini';
import { bytes, nodeId } from './schema.ts';
import { maxOperators } from './statement.ts';
import type { Milliseconds, milliseconds } from './units.ts';

export const invitationPrefix = 'cryonet-join:v1:';

/** Characters of the longest one, and bytes of the largest sealed welcome. */
export const longestInvitation = 4096;
export const maxWelcome = 32_768;

/** Characters of the longest token. */
export const longestToken = 1024;
const mostTokens = 8;
export const mostServers = 8;
const mostPins = 64;

/** Milliseconds for which an invitation may be good, and to how many. */
export const leastTtl = 60_000;
export const mostTtl = 30 * 86_400_000;
export const mostUses = 1000;

/** A WebSocket URL that needs no quoting in a list or a file. */
export const serverUrl = z
  .string()
  .check(z.maxLength(256), z.regex(/^wss?:\/\/[A-Za-z0-9\-._~:/?[\]@!$&()*+;=%]+$/), z.refine(URL.canParse));

/** As a line of a token file has it. */
const token = z.string().check(
  z.minLength(1),
  z.maxLength(longestToken),
  z.regex(/^\P{Cc}*$/u),
  z.refine((text) => text === text.trim()),
);

export const invitationPayload = z.object({
  secret: bytes(16, 16),
  /** ID of the node that invites. */
  inviter: nodeId,
  /** SHA-256 of its identity key. */
  fingerprint: bytes(32, 32),
  /** Where it is reached. */
  servers: z.array(serverUrl).check(z.minLength(1), z.maxLength(mostServers)),
  /** The only ID that is invited. */
  id: z.optional(nodeId),
  /** Milliseconds since the Unix epoch by the inviter's clock, which decides. */
  expires: z.int().check(z.minimum(0), z.maximum(8.64e15)),
});

export const welcomeMessage = z.object({
  type: z.literal('welcome'),
  /** The first is the one to join by. */
  tokens: z.array(token).check(z.minLength(1), z.maxLength(mostTokens)),
  /** More bootstrap servers than the invitation has. */
  servers: z.array(serverUrl).check(z.maxLength(mostServers)),
  /** Nodes of which the key is known. */
  pins: z.array(z.object({ id: nodeId, key: bytes(32, 32) })).check(z.minLength(1), z.maxLength(mostPins)),
  /** Public keys of operators, whose word counts in the mesh. */
  operators: z.optional(z.array(bytes(32, 32)).check(z.maxLength(maxOperators))),
});

/** What an inviter tells of an invitation. */
export function invitationIn<T extends Milliseconds>(time: T) {
  return z.object({
    /** Of the public key, the first digits. */
    name: z.string(),
    id: z.nullable(nodeId),
    expires: time,
    uses: z.int(),
    used: z.int(),
    state: z.enum(['open', 'used', 'expired', 'revoked']),
  });
}

export type InvitationStatus = z.infer<ReturnType<typeof invitationIn<typeof milliseconds.time>>>;
export type InvitationPayload = z.infer<typeof invitationPayload>;
export type Welcome = z.infer<typeof welcomeMessage>;

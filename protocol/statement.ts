/**
 * What an operator says of a node to a whole mesh, signed by an operator key. Nodes that have this key among their
 * `operators` keep it, act on it and pass it on; to others it is nothing.
 *
 *   accept   the key with this fingerprint alone speaks for the ID from now on
 *   revoke   a node of this ID, or with this key, is out until a later `accept`
 *   forget   what is known of the ID counts no more: the next key that proves itself for it does
 *
 * The signature covers `domain.statement` and the bytes of `statement`. A subject is an ID or a fingerprint, which no ID
 * looks like. Fields are only added, and optional.
 */
import * as z from 'zod/mini';
import { fingerprintPattern } from './fingerprint.ts';
import { bytes, nodeId } from './schema.ts';

/** The last millisecond that RFC 3339 can write. */
const lastTime = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

const fingerprint = z.string().check(z.regex(fingerprintPattern));

const common = {
  /** Ed25519 public key. */
  operator: bytes(32, 32),
  /** Milliseconds since the Unix epoch by the operator's clock. Of two statements about a subject the later one counts. */
  time: z.int().check(z.minimum(1), z.maximum(lastTime)),
};

export const statement = z.discriminatedUnion('kind', [
  z.object({ ...common, kind: z.literal('accept'), subject: nodeId, fingerprint }),
  z.object({ ...common, kind: z.literal('revoke'), subject: z.union([nodeId, fingerprint]) }),
  z.object({ ...common, kind: z.literal('forget'), subject: nodeId }),
]);

export const signedStatement = z.object({ statement: bytes(1, 512), signature: bytes(64, 64) });

/** Statements in one message. It has half of the bytes that a datachannel carries then. */
export const statementsPerMessage = 64;

/** Operator keys of a node. */
export const maxOperators = 8;

/** What a node has of one operator key, which its first eight bytes name: as many of a hash over the statements. */
export const statementDigests = z
  .array(z.object({ operator: bytes(8, 8), digest: bytes(8, 8) }))
  .check(z.maxLength(maxOperators));

/** As the API takes it: both parts in base64url. */
export const statementText = z.object({
  statement: z.string().check(z.regex(/^[\w-]{1,684}$/)),
  signature: z.string().check(z.regex(/^[\w-]{86}$/)),
});

export type Statement = z.infer<typeof statement>;
export type SignedStatement = z.infer<typeof signedStatement>;
export type StatementDigests = z.infer<typeof statementDigests>;

const operatorPattern = /^ed25519:([\w-]{43})$/;

/** An operator key as it stands in `operators`: `ed25519:` and its 32 bytes in base64url. */
export function operatorText(key: Uint8Array): string {
  const digits = btoa(String.fromCharCode(...key));
  return `ed25519:${digits.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')}`;
}

/** Enough of it to tell a few operators apart. */
export function shortOperator(text: string): string {
  return text.slice(0, 'ed25519:'.length + 10);
}

/** The inverse of `operatorText`; undefined for another text. */
export function operatorIn(text: string): Uint8Array | undefined {
  const digits = operatorPattern.exec(text)?.[1]?.replaceAll('-', '+').replaceAll('_', '/');
  if (digits === undefined) return undefined;
  const key = Uint8Array.from(atob(digits), (character) => character.charCodeAt(0));
  return operatorText(key) === text ? key : undefined;
}

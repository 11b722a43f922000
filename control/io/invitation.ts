/** An invitation as text, and the keys that are made of it. `protocol/invitation.ts` has the formats. */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { CryonetError } from '../../protocol/errors.ts';
import {
  type InvitationPayload,
  invitationPayload,
  invitationPrefix,
  longestInvitation,
} from '../../protocol/invitation.ts';
import { encode } from '../../protocol/msgpack.ts';
import { parse } from '../../protocol/schema.ts';
import { equal, expand, sha256 } from './crypto.ts';
import type { Identity } from './state-directory.ts';

/** Bytes of the digest that stand behind the payload. */
const checkBytes = 4;

/** DER of PKCS #8 in front of an Ed25519 seed (RFC 8410, section 7). */
const seedHead = Buffer.from('302e020100300506032b657004220420', 'hex');

const nothing = new Uint8Array();

export function invitationText(payload: InvitationPayload): string {
  return sealedText(encode(payload));
}

/** `payload`: MessagePack. */
export function sealedText(payload: Uint8Array): string {
  const all = Buffer.concat([payload, sha256(payload).subarray(0, checkBytes)]);
  return `${invitationPrefix}${all.toString('base64url')}`;
}

/** Throws `bad_config` for a text that is no whole invitation. */
export function readInvitation(text: string): InvitationPayload {
  const refuse = (why: string, cause?: unknown): never => {
    throw new CryonetError('bad_config', `that is no invitation: ${why}`, { cause });
  };
  if (!text.startsWith('cryonet-join:')) refuse(`it does not begin with ${invitationPrefix}`);
  if (!text.startsWith(invitationPrefix)) refuse('it is of another version: upgrade cryonet');
  const coded = text.slice(invitationPrefix.length);
  if (text.length > longestInvitation || !/^[\w-]+$/.test(coded))
    refuse('it has characters that do not belong there');
  const all = Buffer.from(coded, 'base64url');
  const payload = all.subarray(0, -checkBytes);
  if (all.length <= checkBytes || !equal(sha256(payload).subarray(0, checkBytes), all.subarray(-checkBytes)))
    refuse('it is cut short or mistyped');
  try {
    return parse(invitationPayload, new Uint8Array(payload));
  } catch (cause) {
    return refuse('it is of another version: upgrade cryonet', cause);
  }
}

/** Whom an invitation lets in. */
export function inviteeOf(secret: Uint8Array): Identity {
  const seed = expand(secret, nothing, Buffer.from('cryonet.2 invitation'), 32);
  const privateKey = createPrivateKey({ key: Buffer.concat([seedHead, seed]), format: 'der', type: 'pkcs8' });
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' });
  return { privateKey, publicKey: new Uint8Array(Buffer.from(x!, 'base64url')) };
}

/** What takes the place of the token's key in the handshake. */
export function invitedKey(publicKey: Uint8Array): Uint8Array {
  return expand(publicKey, nothing, Buffer.from('cryonet.2 invited'), 32);
}

/**
 * The invitations of a node, in the file `invitations` of its state directory: of each the public key, so that who reads the
 * file is not invited. A use is written down before anything is given away, so that a crash never gives it twice; what ends
 * is kept for a day, to be told apart from what never was.
 *
 *                       ┌── uses are up ──► used
 *     open ── a use ────┼── time is up ───► expired
 *                       └── by hand ──────► revoked
 */
import { randomBytes } from 'node:crypto';
import * as z from 'zod/mini';
import { CryonetError, reasonOf, systemError } from '../../protocol/errors.ts';
import type { Hello, RefuseCode } from '../../protocol/handshake.ts';
import { type InvitationStatus, mostUses } from '../../protocol/invitation.ts';
import { nodeId } from '../../protocol/schema.ts';
import { invitedKey, inviteeOf } from './invitation.ts';
import { readIfThere, writeWhole } from './kept-files.ts';
import type { Tell } from './kept-writes.ts';

/** At a time, those that have ended included, which make room. */
const mostInvitations = 64;

/** Milliseconds for which one that has ended is known. */
const memory = 86_400_000;

const kept = z.object({
  /** Of the invitee, in hexadecimal. Its first digits name the invitation. */
  key: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  id: z.nullable(nodeId),
  /** Milliseconds since the Unix epoch. */
  expires: z.int(),
  uses: z.int().check(z.minimum(1), z.maximum(mostUses)),
  used: z.int().check(z.minimum(0)),
  revoked: z.boolean(),
});

const file = z.array(kept).check(z.maxLength(mostInvitations));

type Kept = z.infer<typeof kept>;

export interface Wish {
  /** The only ID that is invited; null for any. */
  readonly id: string | null;
  readonly uses: number;
  /** Milliseconds. */
  readonly ttl: number;
}

export class Invitations {
  readonly #path: string;
  /** Milliseconds since the Unix epoch, by the machine's clock. */
  readonly #now: () => number;
  #kept: readonly Kept[];

  /** A file that cannot be read is a warning, and nobody is invited by it. */
  constructor(path: string, tell: Tell, now = Date.now) {
    this.#path = path;
    this.#now = now;
    this.#kept = readFile(path, tell);
  }

  /** Invites, and returns the secret, which nobody keeps. Throws `unavailable` or `bad_config`; then nobody is invited. */
  invite({ id, uses, ttl }: Wish): { readonly secret: Uint8Array; readonly status: InvitationStatus } {
    const [secret, now] = [new Uint8Array(randomBytes(16)), this.#now()];
    const key = Buffer.from(inviteeOf(secret).publicKey).toString('hex');
    const invitation: Kept = { key, id, expires: now + ttl, uses, used: 0, revoked: false };
    const open = this.#kept.filter((each) => stateOf(each, now) === 'open');
    if (open.length >= mostInvitations)
      throw new CryonetError(
        'bad_config',
        `${mostInvitations} invitations are open, the most: revoke one first`,
      );
    const known = this.#kept.filter((each) => stateOf(each, now) !== 'open' && each.expires > now - memory);
    const room = mostInvitations - open.length - 1;
    this.#write([...(room === 0 ? [] : known.slice(-room)), ...open, invitation]);
    return { secret, status: statusOf(invitation, now) };
  }

  /** What takes the place of the token's key for who has this public one; undefined if it is not known. */
  keyOf(publicKey: Uint8Array): Uint8Array | undefined {
    return this.#find(publicKey) === undefined ? undefined : invitedKey(publicKey);
  }

  /** Counts a use by a proven client. Undefined once that is written, else why the client is refused. */
  use({ key, id }: Pick<Hello, 'key' | 'id'>): RefuseCode | undefined {
    const invitation = this.#find(key);
    if (invitation === undefined) return 'unknown_invitation';
    const state = stateOf(invitation, this.#now());
    if (state !== 'open') return refusalOf[state];
    if (invitation.id !== null && invitation.id !== id) return 'invitation_other';
    try {
      this.#replace(invitation, { ...invitation, used: invitation.used + 1 });
      return undefined;
    } catch {
      return 'unavailable';
    }
  }

  /** Those that are known, the newest last. */
  list(): InvitationStatus[] {
    return this.#kept.map((each) => statusOf(each, this.#now()));
  }

  /** Throws `unknown_invitation`, `unavailable` or `bad_config`. */
  revoke(name: string): InvitationStatus {
    const invitation = this.#kept.find(({ key }) => nameOf(key) === name);
    if (invitation === undefined)
      throw new CryonetError('unknown_invitation', `no invitation is called ${name}`);
    const revoked = { ...invitation, revoked: true };
    this.#replace(invitation, revoked);
    return statusOf(revoked, this.#now());
  }

  #find(publicKey: Uint8Array): Kept | undefined {
    if (this.#kept.length === 0) return undefined;
    const key = Buffer.from(publicKey).toString('hex');
    return this.#kept.find((each) => each.key === key);
  }

  #replace(invitation: Kept, next: Kept): void {
    this.#write(this.#kept.map((each) => (each === invitation ? next : each)));
  }

  /** What is not on the disk does not count. */
  #write(next: readonly Kept[]): void {
    try {
      writeWhole(this.#path, `${JSON.stringify(next, null, 1)}\n`);
    } catch (cause) {
      throw systemError(`${this.#path} cannot be written: ${reasonOf(cause)}`, cause);
    }
    this.#kept = next;
  }
}

type Over = Exclude<InvitationStatus['state'], 'open'>;

const refusalOf: Readonly<Record<Over, RefuseCode>> = {
  used: 'invitation_used',
  expired: 'invitation_expired',
  revoked: 'unknown_invitation',
};

function stateOf({ revoked, used, uses, expires }: Kept, now: number): InvitationStatus['state'] {
  if (revoked) return 'revoked';
  if (used >= uses) return 'used';
  return expires <= now ? 'expired' : 'open';
}

function statusOf(invitation: Kept, now: number): InvitationStatus {
  const { key, id, expires, uses, used } = invitation;
  return { name: nameOf(key), id, expires, uses, used, state: stateOf(invitation, now) };
}

function nameOf(key: string): string {
  return key.slice(0, 8);
}

function readFile(path: string, tell: Tell): readonly Kept[] {
  try {
    return file.parse(JSON.parse(readIfThere(path) ?? '[]'));
  } catch (cause) {
    const reason = cause instanceof SyntaxError ? 'it is no JSON' : reasonOf(cause);
    tell.set('invitations', `${path} cannot be used: ${reason}; nobody is invited by it, delete it`);
    return [];
  }
}

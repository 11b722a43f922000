/**
 * What a neighbor may cost us, by kinds, each in a span of time. What is beyond is counted and not looked at. A message is
 * charged to the neighbor that brought it, with one exception: copies of a flood are charged to the node that signed it if
 * that is a neighbor too, since floods of one node come to us by many.
 *
 * When 300 nodes join at once through one neighbor, a node hears from it 600 floods, 300 records and as many again in
 * lists, within seconds. The bounds are several times that.
 */
import type { RefuseCode } from '../../protocol/handshake.ts';
import type { Channel } from './events.ts';
import { type Quotas, within } from './quotas.ts';
import type { Mesh, Turn } from './state.ts';

interface Budget {
  readonly limit: number;
  /** Milliseconds. */
  readonly within: number;
  /** No honest node comes near this bound; exceeding it makes a warning. */
  readonly isHostile: boolean;
}

const mebibyte = 1_048_576;

const budgets = {
  /** Messages of any kind, and their bytes. */
  messages: { limit: 8192, within: 10_000, isHostile: true },
  bytes: { limit: 8 * mebibyte, within: 30_000, isHostile: true },
  /** Signatures verified, here or by the receiver of a flood that is passed straight on; 0.12 ms each. */
  signatures: { limit: 4096, within: 10_000, isHostile: true },
  /** Floods of one other node, so that one sender does not use up what a neighbor may pass on for all. */
  floods: { limit: 512, within: 10_000, isHostile: false },
  /** Bytes of floods that are passed on to several neighbors, counted once for each. */
  copies: { limit: 4 * mebibyte, within: 60_000, isHostile: true },
  /** `alive` messages, which come every 18 to 20 s by default, and the whole lists in answer, 170 bytes for each node. */
  alives: { limit: 32, within: 20_000, isHostile: true },
  lists: { limit: 1, within: 10_000, isHostile: false },
  /** Lists sent to a neighbor that connects. */
  welcomes: { limit: 8, within: 20_000, isHostile: false },
  /** What we have of operators, sent to a neighbor that has other things of them: half a megabyte for each at most. */
  statements: { limit: 2, within: 10_000, isHostile: false },
  /** Candidates of one peer. One negotiation has at most 20. */
  candidates: { limit: 192, within: 60_000, isHostile: false },
  /** Answers to never linked peers, over all that a neighbor told of. Each takes the dataplane 10 ms. */
  answers: { limit: 256, within: 10_000, isHostile: false },
} as const satisfies Record<string, Budget>;

type Kind = keyof typeof budgets;

/** And what is refused for another reason: a signature that does not hold, starts of one node that follow too soon, offers
 *  of one peer (`answers.ts`); a record or flood of a node that operators have revoked; a record of an ID that another key has, of a key that has another ID, of our own ID by
 *  another key, and of one node more than there is room for. The words are those of a handshake where that has one. */
type Cause =
  | Kind
  | 'forged'
  | 'starts'
  | 'offers'
  | 'revoked'
  | Extract<RefuseCode, 'identity_mismatch' | 'key_in_use' | 'id_in_use'>
  | 'nodes';

export interface Account {
  readonly spent: Quotas;
  /** What was refused, by cause. */
  readonly refused: Map<Cause, number>;
  usedAt: number;
  /** When a bound was last exceeded that no honest node comes near. */
  hostileAt: number | null;
}

/** Accounts kept of neighbors, present and recent. */
const maxAccounts = 4096;

/** Milliseconds without a message after which the account of a former neighbor is dropped. */
const accountLifetime = 600_000;

/** Milliseconds without an exceeded bound after which the warning is over. */
const warningLifetime = 60_000;

const subject = 'excess';

/** Whether a message of so many bytes may be decoded. */
export function admit(mesh: Mesh, channel: Channel, bytes: number, now: number): boolean {
  const neighbor = mesh.neighbors.get(channel)?.id;
  if (neighbor === undefined) return false;
  return spend(mesh, neighbor, 'messages', now) && spend(mesh, neighbor, 'bytes', now, bytes);
}

/** Charges `amount` to `neighbor`. False if that exceeds its budget, which is counted. Each `of` has a budget of its own. */
export function spend(mesh: Mesh, neighbor: string, kind: Kind, now: number, amount = 1, of = ''): boolean {
  const { limit, within: period, isHostile } = budgets[kind];
  const account = accountOf(mesh, neighbor, now);
  if (within(account.spent, `${kind} ${of}`, limit, period, now, amount)) return true;
  refuse(mesh, neighbor, kind, now);
  if (isHostile) account.hostileAt = now;
  return false;
}

export function refuse(mesh: Mesh, neighbor: string, cause: Cause, now: number): void {
  const { refused } = accountOf(mesh, neighbor, now);
  refused.set(cause, (refused.get(cause) ?? 0) + 1);
}

/** Warns of neighbors that exceed their bounds, and drops accounts of those that are gone. */
export function settleAccounts({ mesh, env, effects }: Turn): void {
  const neighbors = new Set([...mesh.neighbors.values()].map(({ id }) => id));
  for (const [id, account] of mesh.accounts) {
    if (account.hostileAt !== null) {
      const isOver = env.now - account.hostileAt >= warningLifetime;
      const message = 'it sends more than a node has to: what is beyond is not looked at';
      effects.push({ type: 'warning', subject, about: id, message: isOver ? null : message });
      if (isOver) account.hostileAt = null;
    } else if (!neighbors.has(id) && env.now - account.usedAt >= accountLifetime) {
      mesh.accounts.delete(id);
    }
  }
}

function accountOf({ accounts }: Mesh, neighbor: string, now: number): Account {
  const known = accounts.get(neighbor);
  if (known !== undefined) {
    known.usedAt = now;
    return known;
  }
  const account: Account = { spent: new Map(), refused: new Map(), usedAt: now, hostileAt: null };
  accounts.set(neighbor, account);
  for (const oldest of accounts.keys()) {
    if (accounts.size <= maxAccounts) break;
    accounts.delete(oldest);
  }
  return account;
}

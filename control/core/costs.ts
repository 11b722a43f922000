/**
 * What a neighbor may cost us, each kind for itself: so much in a while. What is beyond is not looked at, and counted. Who
 * pays is the neighbor that brought a message, with one exception: copies of a flood are paid by who signed it, if that is
 * a neighbor too, since floods of one node come to us by many.
 *
 * A node of 300 that all join at once through one neighbor hears of it 600 floods, 300 records and as many again in lists,
 * within seconds. The bounds are some times that.
 */
import type { Channel } from './events.ts';
import { type Quotas, within } from './quotas.ts';
import type { Mesh, Turn } from './state.ts';

interface Budget {
  readonly limit: number;
  /** Milliseconds. */
  readonly within: number;
  /** No honest node comes near it: who does is warned of. */
  readonly isHostile: boolean;
}

const mebibyte = 1_048_576;

const budgets = {
  /** Messages of any kind, and their bytes. */
  messages: { limit: 8192, within: 10_000, isHostile: true },
  bytes: { limit: 8 * mebibyte, within: 30_000, isHostile: true },
  /** Signatures looked at, here or, where a flood is passed straight on, by the receiver; 0.12 ms each. */
  signatures: { limit: 4096, within: 10_000, isHostile: true },
  /** Floods of one other node, so that none takes the room of all for which a neighbor passes something on. */
  floods: { limit: 512, within: 10_000, isHostile: false },
  /** Bytes of floods that go by several ways, for each way. */
  copies: { limit: 4 * mebibyte, within: 60_000, isHostile: true },
  /** `alive`, which comes every 18 to 20 s by default; and the whole lists, 170 bytes for each node, in answer. */
  alives: { limit: 32, within: 20_000, isHostile: true },
  lists: { limit: 1, within: 10_000, isHostile: false },
  /** Lists to a neighbor that connects. */
  welcomes: { limit: 8, within: 20_000, isHostile: false },
  /** Candidates of one peer, of which one try has 20 at most. */
  candidates: { limit: 192, within: 60_000, isHostile: false },
  /** Offers of peers that were never linked, of all that a neighbor told of: 10 ms of the dataplane's time each. */
  answers: { limit: 256, within: 10_000, isHostile: false },
} as const satisfies Record<string, Budget>;

type Kind = keyof typeof budgets;

/** And what is refused for another reason: a signature that does not hold, starts of one node that follow too soon, offers
 *  of one peer (`answers.ts`). */
type Cause = Kind | 'forged' | 'starts' | 'offers';

export interface Account {
  readonly spent: Quotas;
  /** What was refused, by cause. */
  readonly refused: Map<Cause, number>;
  usedAt: number;
  /** When something was last refused that no honest node does. */
  hostileAt: number | null;
}

/** Neighbors, also of late, whose costs are kept. */
const maxAccounts = 4096;

/** Milliseconds without a message after which nothing is kept of who is no neighbor any more. */
const accountLifetime = 600_000;

/** Milliseconds without excess after which the warning is over. */
const warningLifetime = 60_000;

const subject = 'excess';

/** Whether a message of so many bytes is looked at: asked before it is decoded. */
export function admit(mesh: Mesh, channel: Channel, bytes: number, now: number): boolean {
  const neighbor = mesh.neighbors.get(channel)?.id;
  if (neighbor === undefined) return false;
  return spend(mesh, neighbor, 'messages', now) && spend(mesh, neighbor, 'bytes', now, bytes);
}

/** True where `neighbor` may cost us that; else it is counted. `of`: a budget for each of these. */
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

/** Warns of who costs more than it may, and forgets who is gone. */
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

/**
 * The MTU of one link's interface, the same at both ends: a routing daemon compares them and forms no adjacency where
 * they differ (OSPF, RFC 2328 section 10.6). A reducer.
 *
 * Each end knows what its own direction carries, and offers that. Both set the lower of the two offers, so that they
 * differ for no longer than a message takes. All sizes are bytes of a packet on the interface.
 *
 *              the MTU changed: offer it, and no more
 *     free ──────────────────────────────────────────────► held
 *       ▲    our direction carries less: offer that, too    │  the same
 *       └────────────────── the hold is over ───────────────┘
 *              offer what our direction carries
 *
 * Less takes effect at once in either state, more only in `free`. Each change makes the next hold longer, and an MTU
 * that goes down again and again falls to the least, where it can fall no further: a peer that plays with its offers
 * changes an interface a few times in a minute at most.
 *
 * A search goes through sizes that are none of its results. What it has found counts once it has ended, or has taken
 * too long: packets that do not fit the path meanwhile go by the datachannel.
 */

/** The least MTU of IPv6, RFC 8200 section 5. */
export const leastMtu = 1280;

/** Milliseconds that a change is held, by how many there were before it. */
const holds = [1000, 5000, 15_000, 60_000];
/** Milliseconds without a change after which the holds begin with the first again. */
const calm = 300_000;
/** Milliseconds that a search may go on before what it has found counts: with less than before, and with more. */
const patience = { less: 1000, more: 5000 };

export interface AgreedMtu {
  /** Of the interface. */
  mtu: number;
  /** What we offer. */
  offer: number;
  /** What the peer offers, or what its interface takes at most where its dataplane makes no offers. */
  theirs: number;
  /** What our interface takes at most. */
  readonly limit: number;
  /** What our direction carries. */
  carries: number;
  /** What a search that goes on has found, and when that counts. */
  searching: { readonly bytes: number; readonly until: number } | null;
  heldUntil: number;
  /** Since the last calm. */
  changes: number;
  changedAt: number;
}

export type AgreedMtuEvent =
  /** Packets of up to so many bytes fit our direction. */
  | { readonly type: 'found'; readonly bytes: number; readonly searching: boolean }
  /** By the peer. */
  | { readonly type: 'offered'; readonly bytes: number }
  | { readonly type: 'tick' };

export type AgreedMtuEffect =
  /** Tell the peer of `offer`. */
  { readonly type: 'offer' } | { readonly type: 'set'; readonly mtu: number };

/** `limit`: what our interface takes at most. `carries`: what our direction is known to carry. */
export function newAgreedMtu(limit: number, carries: number): AgreedMtu {
  return {
    mtu: leastMtu,
    offer: carries,
    theirs: leastMtu,
    limit,
    carries,
    searching: null,
    heldUntil: Number.NEGATIVE_INFINITY,
    changes: 0,
    changedAt: Number.NEGATIVE_INFINITY,
  };
}

/** An interface is about to be opened, with `mtu`: that is no change of it. */
export function begin(state: AgreedMtu, theirs: number): void {
  state.theirs = theirs;
  state.mtu = within(state, Math.min(state.offer, theirs));
}

/** When to `step` with a `tick` next; undefined where nothing is to be done. Milliseconds. */
export function nextDeadline({ searching, offer, carries, heldUntil }: AgreedMtu): number | undefined {
  if (offer < carries) return Math.min(heldUntil, searching?.until ?? heldUntil);
  return searching?.until;
}

/** Changes `state` in place. */
export function step(state: AgreedMtu, event: AgreedMtuEvent, now: number): AgreedMtuEffect[] {
  const before = state.offer;
  const effects: AgreedMtuEffect[] = [];
  if (event.type === 'found') find(state, event, now);
  if (event.type === 'offered') state.theirs = event.bytes;
  const { searching } = state;
  if (searching !== null && now >= searching.until) carry(state, searching.bytes);

  if (now >= state.heldUntil) state.offer = state.carries;
  else state.offer = Math.min(state.offer, state.carries);
  const mtu = within(state, Math.min(state.offer, state.theirs));
  if (mtu !== state.mtu) change(state, mtu, now, effects);
  if (state.offer !== before) effects.push({ type: 'offer' });
  return effects;
}

function find(state: AgreedMtu, { bytes, searching }: AgreedMtuEvent & { type: 'found' }, now: number): void {
  const found = within(state, bytes);
  if (!searching || found === state.carries) {
    carry(state, found);
    return;
  }
  const until = now + (found < state.carries ? patience.less : patience.more);
  state.searching = { bytes: found, until: Math.min(until, state.searching?.until ?? until) };
}

function carry(state: AgreedMtu, bytes: number): void {
  state.carries = bytes;
  state.searching = null;
}

/** While it is held we offer no more than it, so that it cannot rise. */
function change(state: AgreedMtu, mtu: number, now: number, effects: AgreedMtuEffect[]): void {
  if (now - state.changedAt >= calm) state.changes = 0;
  const restless = mtu < state.mtu && state.changes >= holds.length;
  state.mtu = restless ? leastMtu : mtu;
  state.offer = state.mtu;
  state.heldUntil = now + holds[Math.min(state.changes, holds.length - 1)]!;
  state.changes += 1;
  state.changedAt = now;
  effects.push({ type: 'set', mtu: state.mtu });
}

function within({ limit }: AgreedMtu, bytes: number): number {
  return Math.max(leastMtu, Math.min(bytes, limit));
}

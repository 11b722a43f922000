/**
 * Whom to try next. A try is an offer or a solicit. It is made when it is due and there is room: only so many are under way
 * at a time, however many names somebody invents. Peers that were linked go first, then those that are known to exist,
 * then the others. Among equals, the peer goes first whose introducer has the fewest tries under way, then the one with
 * the fewest failures.
 *
 * On a machine that is overloaded, connections under way make each other late, until all have had their time and are made
 * again, for ever. So the dataplane sets the pace: few offers wait for it at a time, and where it is slow few tries are
 * under way, and peers are given longer to offer before they are asked to. Where it is other nodes that are slow, answers
 * come late, and few are awaited at a time (`offer-window.ts`).
 *
 *     due ── room ──► tried ── the peer answers, refuses, or the time is over ──► due, after a while
 */
import { attemptOn, hasShared, isOpen, type Link } from './link.ts';
import { giveUp, lifetimeOf, offer, solicit } from './negotiation.ts';
import { awaitedUntil, maxOffers } from './offer-window.ts';
import { mayTake, pathTrouble } from './path-wish.ts';
import { latenessOf, type Mesh, show, type Turn } from './state.ts';
import { webSocketDueAt } from './websocket-route.ts';

/** Offers under way at a time that the dataplane has not described yet. */
const maxOpening = 4;

/** Milliseconds for which an offer waits for its answer at most, and between two looks whether its room is needed. */
const longestOffer = 40_000;
const lookInterval = 1000;

/** Milliseconds that a dataplane takes to describe a connection where the machine is overloaded, and offers and solicits
 *  under way at a time there. */
const slowDescription = 1000;
const few = 2;

/** Offers under way to peers that are not known to exist, and solicits to such peers. Half of all offers, so that there is
 *  always room for the others. */
const maxUnheard = 16;

/** Milliseconds for which a solicit counts as under way: as long as an offer does. */
const askLifetime = 10_000;

const kinds = ['solicit', 'shared', 'relay', 'websocket'] as const;
type What = (typeof kinds)[number];

interface Try {
  readonly link: Link;
  readonly what: What;
  readonly at: number;
}

interface Room {
  /** The dataplane is slow. */
  isSlow: boolean;
  readonly window: number;
  offers: number;
  /** Those without an answer that take part of the window, and when the oldest of them no longer does. */
  awaited: number;
  awaitedUntil: number;
  /** These, and those with an answer: what machines are busy with. */
  busy: number;
  opening: number;
  unheard: number;
  asks: number;
  /** Of these, to peers that are not known to exist. */
  unheardAsks: number;
  /** Tries under way of never linked peers, by introducer. */
  readonly by: Map<string, number>;
  /** When the oldest of the solicits no longer counts. */
  asksUntil: number;
}

/** Makes the tries that are due, as far as there is room, and notes when to come back. */
export function tryDue(turn: Turn): void {
  const { mesh, env } = turn;
  if (!mesh.dataplaneUp) return;
  const room = roomOf(mesh, env.now);
  mesh.tryAt = nextAt(mesh, room);
  if (mesh.tryAt > env.now) return;
  const due = dueOf(mesh, env.now);
  for (;;) {
    let next: Try | undefined;
    for (const each of due) {
      if (isFree(room, each) && (next === undefined || isBefore(room, each, next))) next = each;
    }
    if (next === undefined) break;
    due.splice(due.indexOf(next), 1);
    take(room, next);
    if (next.what === 'solicit') solicit(turn, next.link);
    else offer(turn, next.link, next.what);
    show(turn, next.link);
  }
  mesh.tryAt = nextAt(mesh, roomOf(mesh, env.now));
}

/** Ends attempts that had their time. An offer without an answer may only be late, so it is kept while nobody needs its
 *  room. */
export function endOverdue(turn: Turn): void {
  const { mesh, env } = turn;
  if (!mesh.dataplaneUp) return;
  let isCrowded: boolean | undefined;
  for (const link of mesh.links.values()) {
    for (const attempt of [...link.attempts.values()]) {
      if (isOpen(attempt) || env.now < attempt.deadline) continue;
      if (attempt.state.phase === 'offered' && env.now < attempt.since + longestOffer) {
        isCrowded ??= isFull(mesh, env.now);
        if (!isCrowded) {
          attempt.deadline = env.now + lookInterval;
          continue;
        }
      }
      giveUp(turn, link, attempt);
    }
  }
}

/** Whether a try is due for which there is no room, however many are under way at this moment. */
function isFull(mesh: Mesh, now: number): boolean {
  const room = { ...roomOf(mesh, now), awaited: 0, busy: 0, opening: 0 };
  return dueOf(mesh, now).some((each) => each.what !== 'solicit' && !isFree(room, each));
}

/** When a try will be due for which there is room, or when there may be more room; infinite if neither will be. */
function nextAt(mesh: Mesh, room: Room): number {
  let next = Math.min(room.asksUntil, room.awaitedUntil);
  for (const link of mesh.links.values()) {
    for (const what of kinds) {
      const at = dueAt(mesh, link, what);
      if (at < next && isFree(room, { link, what }) && mesh.membership.members.has(link.peer)) next = at;
    }
  }
  return next;
}

function dueOf(mesh: Mesh, now: number): Try[] {
  const due: Try[] = [];
  for (const link of mesh.links.values()) {
    if (!mesh.membership.members.has(link.peer)) continue;
    for (const what of kinds) {
      const at = dueAt(mesh, link, what);
      if (at <= now) due.push({ link, what, at });
    }
  }
  return due;
}

/** When this kind of try is due for a link; infinite if the link does not need it. */
function dueAt(mesh: Mesh, link: Link, what: What): number {
  if (link.offerer === (what === 'solicit')) return Number.POSITIVE_INFINITY;
  if (what === 'solicit' && pathTrouble(mesh, link) !== '') return Number.POSITIVE_INFINITY;
  if (what !== 'solicit' && !mayTake(link.path, what)) return Number.POSITIVE_INFINITY;
  if (what === 'websocket') return webSocketDueAt(link);
  if (what !== 'relay') {
    const has = link.attempts.size > 0 && (what === 'solicit' || attemptOn(link, what) !== undefined);
    if (has) return Number.POSITIVE_INFINITY;
    return link.shared.retryAt + (what === 'solicit' ? latenessOf(mesh) : 0);
  }
  const isOnly = link.path === 'relay';
  const retryAt = link.relay.retryAt ?? (isOnly ? link.shared.retryAt : null);
  if (retryAt === null || (!link.heard && !isOnly)) return Number.POSITIVE_INFINITY;
  if (hasShared(link) || attemptOn(link, 'relay') !== undefined) return Number.POSITIVE_INFINITY;
  if (!mesh.self.turn && mesh.membership.members.get(link.peer)?.record.turn !== true)
    return Number.POSITIVE_INFINITY;
  return link.denied ? Math.max(retryAt, link.shared.retryAt) : retryAt;
}

function roomOf(mesh: Mesh, now: number): Room {
  const room: Room = {
    isSlow: mesh.describedIn > slowDescription,
    window: mesh.offerWindow.size,
    offers: 0,
    awaited: 0,
    awaitedUntil: Number.POSITIVE_INFINITY,
    busy: 0,
    opening: 0,
    unheard: 0,
    asks: 0,
    unheardAsks: 0,
    by: new Map<string, number>(),
    asksUntil: Number.POSITIVE_INFINITY,
  };
  for (const link of mesh.links.values()) {
    if (link.offerer) {
      if (link.attempts.size === 0) continue;
      for (const attempt of link.attempts.values()) {
        if (isOpen(attempt)) continue;
        take(room, { link, what: 'shared' });
        const { state, since } = attempt;
        if (state.phase === 'connecting') room.awaited--;
        if (state.phase === 'offered') {
          const until = awaitedUntil(mesh.offerWindow, since, lifetimeOf(mesh));
          if (now < until) room.awaitedUntil = Math.min(room.awaitedUntil, until);
          else {
            room.awaited--;
            room.busy--;
          }
        }
        if (state.phase !== 'opening') room.opening--;
        else if (now - since > slowDescription) room.isSlow = true;
      }
    } else if (link.askedAt !== null && now < link.askedAt + askLifetime) {
      take(room, { link, what: 'solicit' });
      room.asksUntil = Math.min(room.asksUntil, link.askedAt + askLifetime);
    }
  }
  return room;
}

function take(room: Room, { link, what }: Omit<Try, 'at'>): void {
  if (what !== 'solicit') {
    room.offers++;
    room.awaited++;
    room.busy++;
    room.opening++;
  }
  if (what === 'solicit') room.asks++;
  if (!link.heard && what === 'solicit') room.unheardAsks++;
  if (!link.heard && what !== 'solicit') room.unheard++;
  if (!link.everUp) room.by.set(link.introducer, (room.by.get(link.introducer) ?? 0) + 1);
}

function isFree(room: Room, { link, what }: Omit<Try, 'at'>): boolean {
  const window = link.everUp ? Number.POSITIVE_INFINITY : room.window;
  if (what === 'solicit') {
    if (room.asks >= (room.isSlow ? few : window)) return false;
    return link.heard || room.unheardAsks < maxUnheard;
  }
  if (room.awaited >= window || (room.isSlow && room.busy >= few)) return false;
  if (room.offers >= maxOffers || room.opening >= maxOpening) return false;
  return link.heard || room.unheard < maxUnheard;
}

function isBefore(room: Room, one: Try, other: Try): boolean {
  const [a, b] = [rankOf(room, one), rankOf(room, other)];
  const first = a.findIndex((rank, i) => rank !== b[i]);
  return first !== -1 && a[first]! < b[first]!;
}

function rankOf({ by }: Room, { link, at }: Try): number[] {
  const share = link.everUp ? 0 : (by.get(link.introducer) ?? 0);
  return [link.everUp ? 0 : 1, link.heard ? 0 : 1, share, link.shared.failures, at];
}

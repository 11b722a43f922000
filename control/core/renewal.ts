/**
 * Relayed connections that end on time. The credentials of a TURN server's secret last for a while, and a relay goes on
 * with no others than those it was made with (441 of RFC 8656). So another connection is made in time, which takes the
 * place of the first:
 *
 *     open ── three quarters of the lifetime ──► being replaced ── the other is open, a second later ──► closed
 *                                                     │ the other failed
 *                                                     └──────► tried again after a minute
 *
 * Either end's relay may be the one that ends; who does not offer asks for the offer.
 */
import type { Route } from '../../protocol/signaling.ts';
import { type Attempt, attemptOn, type Link } from './link.ts';
import { closeAttempt, type Mesh, type Turn } from './state.ts';

/** Milliseconds to the next try, and to the first one with a connection of which nobody knows how old it is. */
export const renewPause = 60_000;

/** Of a lifetime; the rest is for clocks that differ, and for tries in vain. */
const usedPart = 0.75;

/** When a connection that is made now has to be replaced; null: never. */
export function renewalTime({ config }: Mesh, route: Route, now: number): number | null {
  return route === 'relay' && config.relayLifetime !== undefined
    ? now + config.relayLifetime * usedPart
    : null;
}

/** Null while there is nothing to replace. */
export function renewalDue(link: Link, attempt: Attempt): number | null {
  return attempt.open && attemptOn(link, 'shared')?.open !== true ? attempt.renewAt : null;
}

export function isBeingReplaced(link: Link, { negotiation }: Attempt): boolean {
  return [...link.attempts.values()].some(({ replaces }) => replaces === negotiation);
}

/** Whether a relayed connection has had its time: the shared route works, or another has taken its place. */
export function isRetired(link: Link, attempt: Attempt): boolean {
  if (attempt.route !== 'relay') return false;
  if (attemptOn(link, 'shared')?.open === true) return true;
  return [...link.attempts.values()].some(({ replaces, open }) => open && replaces === attempt.negotiation);
}

/** Closes those. */
export function retire(turn: Turn, link: Link): void {
  link.retireAt = null;
  for (const attempt of [...link.attempts.values()]) {
    if (isRetired(link, attempt)) closeAttempt(turn, link, attempt);
  }
}

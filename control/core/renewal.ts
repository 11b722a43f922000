/**
 * Replaces relayed connections before their credentials end. Credentials made of a TURN server's secret last for a limited
 * time, and a relay accepts no others than those it was made with (error 441 of RFC 8656). So another connection is made
 * in time, which replaces the first:
 *
 *     open ── three quarters of the lifetime ──► being replaced ── the other is open, a second later ──► closed
 *                                                     │ the other failed
 *                                                     └──────► tried again after a minute
 *
 * Either end's relay may be the one that ends; the end that does not offer asks for the offer.
 */
import type { Route } from '../../protocol/signaling.ts';
import { type Attempt, hasShared, isOpen, type Link } from './link.ts';
import { closeAttempt, type Mesh, type Turn } from './state.ts';

/** Milliseconds to the next try, and to the first try for an adopted connection, whose age is not known. */
export const renewPause = 60_000;

/** Share of the lifetime after which a connection is replaced. The rest is for clocks that differ and for failed tries. */
const usedPart = 0.75;

/** When a connection that is made now has to be replaced; null if never. */
export function renewalTime({ config }: Mesh, route: Route, now: number): number | null {
  return route === 'relay' && config.relayLifetime !== undefined
    ? now + config.relayLifetime * usedPart
    : null;
}

/** When to replace the connection of `attempt`; null while there is no need. */
export function renewalDue(link: Link, attempt: Attempt): number | null {
  return isOpen(attempt) && !hasShared(link) ? attempt.renewAt : null;
}

export function isBeingReplaced(link: Link, { negotiation }: Attempt): boolean {
  return [...link.attempts.values()].some(({ replaces }) => replaces === negotiation);
}

/** Whether a connection is not needed any more: of a relayed one the shared route is open, or a replacement; of one by a
 *  WebSocket any other is. */
export function isRetired(link: Link, attempt: Attempt): boolean {
  if (attempt.route === 'websocket') {
    return [...link.attempts.values()].some((other) => isOpen(other) && other.route !== 'websocket');
  }
  if (attempt.route !== 'relay') return false;
  if (hasShared(link)) return true;
  return [...link.attempts.values()].some((other) => isOpen(other) && other.replaces === attempt.negotiation);
}

/** Closes the connections of which `isRetired` is true. */
export function retire(turn: Turn, link: Link): void {
  link.retireAt = null;
  for (const attempt of [...link.attempts.values()]) {
    if (isRetired(link, attempt)) closeAttempt(turn, link, attempt);
  }
}

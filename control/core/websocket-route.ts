/**
 * The route of last resort: the bootstrap WebSocket that two nodes have with each other, for networks without UDP. It is tried
 * once the others had their time, and given up when one of them works after all.
 *
 *     the shared route is tried ── three seconds, and no connection is open ──► tried ──► open
 *          ▲                                                                                │ another route is open, a second
 *          └── the WebSocket is gone, or the connection has ended ◄─────────────────────────┴─► later: closed
 */
import { type Attempt, isOpen, isUp, type Link } from './link.ts';
import type { Mesh, Turn } from './state.ts';

/** Milliseconds for which only the other routes are tried: what punches holes has succeeded by then, mostly. */
const webSocketDelay = 3000;

/** What we tell a peer that offers this route. */
const refusals = {
  off: 'its configuration wants no links by WebSockets',
  none: 'there is no WebSocket between the two nodes',
} as const;

/** Whether the two nodes have a WebSocket with each other. */
function hasWebSocket({ neighbors }: Mesh, peer: string): boolean {
  for (const [channel, { id }] of neighbors) if (id === peer && channel.startsWith('ws:')) return true;
  return false;
}

/** The other routes are tried, or the WebSocket is new: this one is next. */
export function waitForWebSocket({ mesh, env }: Turn, link: Link): void {
  if (mesh.config.webSocketPaths && !isUp(link) && hasWebSocket(mesh, link.peer))
    link.websocket.retryAt ??= env.now + webSocketDelay;
}

/** When an offer by this route is due; infinite if it is not needed. */
export function webSocketDueAt(link: Link): number {
  const { retryAt } = link.websocket;
  if (retryAt === null || isUp(link)) return Number.POSITIVE_INFINITY;
  for (const attempt of link.attempts.values())
    if (attempt.route === 'websocket' || isOpen(attempt)) return Number.POSITIVE_INFINITY;
  return link.denied ? Math.max(retryAt, link.shared.retryAt) : retryAt;
}

/** Why an offer by this route is refused, for the peer; undefined where it is not. */
export function webSocketRefusal(mesh: Mesh, peer: string): string | undefined {
  if (!mesh.config.webSocketPaths) return refusals.off;
  return hasWebSocket(mesh, peer) ? undefined : refusals.none;
}

/** Attempts by a WebSocket that is gone. */
export function stranded(mesh: Mesh, peer: string): Attempt[] {
  const link = mesh.links.get(peer);
  if (link === undefined || hasWebSocket(mesh, peer)) return [];
  return [...link.attempts.values()].filter(({ route }) => route === 'websocket');
}

/** Whether messages of that negotiation may go by the peer's WebSocket, either way. */
export function isCarriedBy({ links }: Mesh, peer: string, negotiation: string): boolean {
  return links.get(peer)?.attempts.get(negotiation)?.route === 'websocket';
}

/**
 * One peer as control sees it. The dataplane owns the connections and the interface and reports on them; control
 * negotiates.
 *
 *            offer sent / received        both descriptions       dataplane reports
 *     idle ────────────────────► negotiating ───────────► connecting ─────────────► up
 *      ▲                              │ timeout, reject, ended     │                 │ path lost
 *      └──────────────────────────────┴────────────────────────────┘   lost ◄────────┘
 *
 * `denied` (by either side's policy) and `refused` (another identity key) stand beside these. There is at most one
 * attempt per route: `shared`, the node's one UDP port, and `relay`, through a TURN server; and one more that replaces
 * another (`renewal.ts`).
 */
import type { LinkReport } from '../../protocol/dataplane.ts';
import type { Route } from '../../protocol/signaling.ts';
import type { PeerStatus } from '../../protocol/status.ts';
import { offers } from './offerer.ts';

export interface Attempt {
  readonly negotiation: string;
  readonly route: Route;
  /** opening: our own description is being made. offered: waits for the answer. connecting: both are exchanged. */
  phase: 'opening' | 'offered' | 'connecting';
  /** Closed at this time unless open by then; milliseconds. */
  deadline: number;
  open: boolean;
  /** Our candidates not yet sent, and when to send them together. */
  local: string[];
  flushAt: number | null;
  /** The peer's candidates that came before its answer. */
  remote: string[];
  /** When another relayed connection has to take its place. */
  renewAt: number | null;
  /** The negotiation whose place it takes once it is open. */
  readonly replaces: string | null;
  /** Counter of the peer's offer or answer; what the peer said before that is about something older. */
  heardCounter: number;
  /** What is said of it goes by all ways. */
  readonly wide: boolean;
  /** The key that the peer proves to have where it opens; null: it was there before us. */
  readonly identity: Uint8Array | null;
}

export interface Link {
  readonly peer: string;
  readonly offerer: boolean;
  report: LinkReport | null;
  readonly attempts: Map<string, Attempt>;
  /** In a row, of the shared route. */
  failures: number;
  /** An offer was not answered since the link was up last: the known way may lead nowhere. */
  unanswered: boolean;
  /** The peer exists: it said something to us, in its own name. */
  heard: boolean;
  /** The neighbor that told of it. */
  introducer: string;
  /** When we last asked for an offer, until the peer said something. */
  askedAt: number | null;
  /** The offerer offers, the other side solicits, not before this. */
  retryAt: number;
  relayFailures: number;
  /** Not before this, and only while the shared route is not open. Null outside an outage. */
  relayAt: number | null;
  /** When to close a relayed connection that the shared one replaced. */
  retireAt: number | null;
  /** The peer's policy denies us. */
  denied: boolean;
  everUp: boolean;
  reason: string;
  /** What the peer said of it last, since the link was up. */
  farReason: string;
  since: number;
  /** Since when it has not been up, however often it was tried; null while it is. */
  downSince: number | null;
  shown: PeerStatus['state'];
  /** Candidates for a negotiation whose offer has not arrived yet. */
  early: { negotiation: string; candidates: string[] };
}

export function newLink(self: string, peer: string, now: number): Link {
  return {
    peer,
    offerer: offers(self, peer),
    report: null,
    attempts: new Map(),
    failures: 0,
    unanswered: false,
    heard: false,
    introducer: '',
    askedAt: null,
    retryAt: now,
    relayFailures: 0,
    relayAt: null,
    retireAt: null,
    denied: false,
    everUp: false,
    reason: '',
    farReason: '',
    since: now,
    downSince: now,
    shown: 'idle',
    early: { negotiation: '', candidates: [] },
  };
}

export function isUp(link: Link): boolean {
  return link.report?.state === 'up';
}

export function attemptOn(link: Link, route: Route): Attempt | undefined {
  for (const attempt of link.attempts.values()) if (attempt.route === route) return attempt;
  return undefined;
}

export function stateOf(link: Link): PeerStatus['state'] {
  if (isUp(link)) return 'up';
  if (link.denied) return 'denied';
  for (const attempt of link.attempts.values()) if (attempt.phase === 'connecting') return 'connecting';
  if (link.attempts.size > 0) return 'negotiating';
  return link.everUp ? 'lost' : 'idle';
}

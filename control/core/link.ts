/**
 * The link with one peer as control sees it. The dataplane owns the connections and the interface and reports on them;
 * control negotiates.
 *
 *            offer sent / received        both descriptions       dataplane reports
 *     idle ────────────────────► negotiating ───────────► connecting ─────────────► up
 *      ▲                              │ timeout, reject, ended     │                 │ path lost
 *      └──────────────────────────────┴────────────────────────────┘   lost ◄────────┘
 *
 * Besides these there are `denied`, by either side's policy, and `refused`, because of another identity key. There is at
 * most one attempt per route, `shared` by the node's one UDP port and `relay` through a TURN server, and one more that
 * replaces a relayed connection (`renewal.ts`).
 */
import type { LinkReport } from '../../protocol/dataplane.ts';
import type { Description, Route } from '../../protocol/signaling.ts';
import type { PeerStatus } from '../../protocol/status.ts';
import { offers } from './offerer.ts';
import type { PathWish } from './peer-settings.ts';
import type { Reach } from './reach.ts';

export interface Attempt {
  readonly negotiation: string;
  readonly route: Route;
  state: AttemptState;
  /** When it came into its last phase before `open`. Milliseconds, like all times here. */
  since: number;
  /** When it is closed, unless it has got on or is open by then. */
  deadline: number;
  /** Our description, once it is sent; and when to send it again, since nobody has answered. */
  said: Description | null;
  saidAt: number;
  repeatAt: number;
  repeats: number;
  /** Our candidates that are sent, those that are not, and when to send these together. */
  candidates: string[];
  local: string[];
  flushAt: number | null;
  /** When another relayed connection has to replace this one. */
  renewAt: number | null;
  /** The negotiation whose connection this one replaces once it is open. */
  readonly replaces: string | null;
  /** Counter of the peer's offer or answer. Bodies with a lower counter are about something older. */
  heardCounter: number;
  /** How far bodies about this attempt go. */
  reach: Reach;
  /** The key that the peer proves to have once the connection opens; null if the connection was adopted. */
  readonly identity: Uint8Array | null;
}

/**
 *     opening ── we offer ──► offered ── the answer ──► connecting ◄──── the dataplane reports ────► open
 *        └─────────────────── we answer ─────────────────────▲
 */
type AttemptState =
  /** The dataplane makes our description, or the answer to it is awaited. `held`: the peer's candidates that came before
   *  its answer. */
  | { readonly phase: 'opening' | 'offered'; readonly held: string[] }
  /** Both descriptions are exchanged. */
  | { readonly phase: 'connecting' | 'open' };

/** How a route fared of late. */
interface Pace {
  /** Failed attempts in a row. */
  failures: number;
  /** When it may be tried at the earliest; null while it is not to be tried. */
  retryAt: number | null;
}

export interface Link {
  readonly peer: string;
  readonly offerer: boolean;
  /** Which paths the operator wants for it (`path-wish.ts`). */
  path: PathWish;
  report: LinkReport | null;
  readonly attempts: Map<string, Attempt>;
  /** When the offerer may offer by the shared route, or the other side solicit; and how often that failed. */
  readonly shared: Pace & { retryAt: number };
  /** The relay route is tried in an outage only, while the shared one is not open. */
  readonly relay: Pace;
  /** Tried last, and only where the two nodes have a WebSocket (`websocket-route.ts`). */
  readonly websocket: Pace;
  /** How often an offer was not answered in its time, since the link was last up: the next hop may lead nowhere. */
  unanswered: number;
  /** The peer has sent us a signed body, so it exists. */
  heard: boolean;
  /** The neighbor that told of the peer. */
  introducer: string;
  /** When we last sent a solicit; null once the peer has said something. */
  askedAt: number | null;
  /** When to close a relayed connection that another one has replaced. */
  retireAt: number | null;
  /** The peer's policy denies us. */
  denied: boolean;
  everUp: boolean;
  /** It is up, and loses much or is slow (`quality.ts`). */
  degraded: boolean;
  /** Why the link is down, in the words of our side; empty if nothing is known. */
  reason: string;
  /** The same in the peer's last words since the link was up. */
  farReason: string;
  /** When the link entered the state `shown`. */
  since: number;
  /** Since when the link has not been up, however often it was tried; null while it is up. */
  downSince: number | null;
  /** The state that was last told. */
  shown: PeerStatus['state'];
  /** Candidates for a negotiation whose offer has not arrived yet. */
  early: { negotiation: string; candidates: string[] };
  /** Candidates of late, as `link-view.ts` has them: ours that the peer was told, and its own. */
  readonly toldCandidates: string[];
  readonly heardCandidates: string[];
}

export function newLink(self: string, peer: string, now: number, path: PathWish = 'any'): Link {
  return {
    peer,
    offerer: offers(self, peer),
    path,
    report: null,
    attempts: new Map(),
    shared: { failures: 0, retryAt: now },
    relay: { failures: 0, retryAt: null },
    websocket: { failures: 0, retryAt: null },
    unanswered: 0,
    heard: false,
    introducer: '',
    askedAt: null,
    retireAt: null,
    denied: false,
    everUp: false,
    degraded: false,
    reason: '',
    farReason: '',
    since: now,
    downSince: now,
    shown: 'idle',
    early: { negotiation: '', candidates: [] },
    toldCandidates: [],
    heardCandidates: [],
  };
}

export function isUp(link: Link): boolean {
  return link.report?.state === 'up';
}

export function isOpen({ state }: Attempt): boolean {
  return state.phase === 'open';
}

/** The attempt gets on, and has `time` milliseconds for the next step: what the peer and the machine did so far is not
 *  thrown away because it was slow. */
export function advance(attempt: Attempt, state: AttemptState, now: number, time: number): void {
  attempt.state = state;
  attempt.since = now;
  attempt.deadline = now + time;
}

/** Whether a connection of the shared route is open. */
export function hasShared(link: Link): boolean {
  const attempt = attemptOn(link, 'shared');
  return attempt !== undefined && isOpen(attempt);
}

export function attemptOn(link: Link, route: Route): Attempt | undefined {
  for (const attempt of link.attempts.values()) if (attempt.route === route) return attempt;
  return undefined;
}

export function stateOf(link: Link): PeerStatus['state'] {
  if (isUp(link)) return 'up';
  if (link.denied) return 'denied';
  const attempts = [...link.attempts.values()];
  if (attempts.some(({ state: { phase } }) => phase === 'connecting' || phase === 'open'))
    return 'connecting';
  if (attempts.length > 0) return 'negotiating';
  return link.everUp ? 'lost' : 'idle';
}

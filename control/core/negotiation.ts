/**
 * Offers, answers, candidates and their timeouts. One side always offers (`offerer.ts`); the other answers, or solicits
 * an offer when it has no link. The shared route is tried first. If it does not come up soon and either side has a TURN
 * server, the relay route is tried beside it, and given up when the shared one works after all.
 */

import { backoff } from '../../protocol/backoff.ts';
import { type Body, type Description, maxDetail, type Route } from '../../protocol/signaling.ts';
import { affordable, mayAnswer } from './answers.ts';
import { sendBody } from './flood.ts';
import { dropNeighbor } from './gossip.ts';
import { refusedBy } from './identity.ts';
import { type Attempt, advance, deadlineOf, isOpen, isUp, type Link } from './link.ts';
import { permits } from './policy.ts';
import { within } from './quotas.ts';
import { isBeingReplaced, renewalDue, renewalTime, renewPause, retire } from './renewal.ts';
import {
  closeAttempt,
  crowdOf,
  ensureLink,
  latenessOf,
  type Mesh,
  notice,
  show,
  type Turn,
} from './state.ts';

/** Milliseconds after which an offer without an answer counts as lost, and is made again as a wide flood. */
const offerLifetime = 1000;
/** Milliseconds more for each node, as in `gossip.ts`. */
const offerLifetimePerNode = 100;

/** Milliseconds for which only the shared route is tried before the relay route is tried beside it. */
const relayDelay = 1500;

/** Milliseconds for which a relayed connection stays open beside its replacement, for packets under way. */
export const retireDelay = 1000;

/** Milliseconds between tries of the shared route while a relayed connection works. */
const upgradeInterval = 120_000;

/** Milliseconds for which candidates are gathered into one message. */
const candidateDelay = 15;

/** Milliseconds over which the tries of all links are spread when a new neighbor is found. */
const retrySpread = 500;

/** Every fourth try in a row is a wide flood, even if the peer answered those before: the next hop may pass on only a part
 *  of what is said. Not every try, because most fail for want of a path, which wide floods do not mend. */
const wideEvery = 4;

/** Times in so many milliseconds that a lost link is tried again at once. A flapping path stays within it; a peer that
 *  opens and closes links all the time has to wait. A loss counts twice, for the connection and for the link. */
const quickRetries = 40;
const quickWindow = 200_000;

/** Candidates kept for an offer or answer that has not arrived yet. */
const maxEarly = 64;

/** Does what is due for one link: sends candidates, ends attempts whose time is over, replaces relayed connections. */
export function tend(turn: Turn, link: Link): void {
  const { mesh, env } = turn;
  if (!mesh.dataplaneUp) return;
  for (const attempt of [...link.attempts.values()]) {
    if (attempt.flushAt !== null && env.now >= attempt.flushAt) flushCandidates(turn, link, attempt);
    if (!isOpen(attempt) && env.now >= deadlineOf(attempt)) {
      if (attempt.state.phase === 'offered') link.unanswered = true;
      closeAttempt(turn, link, attempt);
      fail(turn, link, attempt.route, 'no path found');
    } else if (env.now >= wideAt(turn.mesh, link, attempt)) {
      link.unanswered = true;
      closeAttempt(turn, link, attempt);
      retryNow(turn, link, attempt.route);
    }
  }
  if (link.retireAt !== null && env.now >= link.retireAt) retire(turn, link);
  for (const attempt of [...link.attempts.values()]) {
    const due = renewalDue(link, attempt);
    if (due !== null && env.now >= due) renew(turn, link, attempt);
  }
  show(turn, link);
}

export function receiveBody(turn: Turn, body: Body): void {
  const { mesh } = turn;
  if (body.kind === 'bye') return;
  if (!permits(mesh.config.policy, body.from)) {
    if (body.kind === 'offer') {
      sendBody(
        turn,
        body.from,
        { kind: 'reject', negotiation: body.negotiation, reason: 'denied' },
        body.wide,
      );
    } else if (body.kind === 'solicit') {
      sendBody(turn, body.from, { kind: 'reject', reason: 'denied' }, body.wide);
    }
    return;
  }
  const link = ensureLink(turn, body.from);
  if (link === undefined) return;
  link.heard = true;
  link.askedAt = null;
  if (!mesh.dataplaneUp) return;
  switch (body.kind) {
    case 'offer':
      receiveOffer(turn, link, body);
      break;
    case 'answer':
      receiveAnswer(turn, link, body);
      break;
    case 'candidate':
      receiveCandidates(turn, link, body.negotiation, affordable(turn, link, body.candidates));
      break;
    case 'reject':
      receiveReject(turn, link, body);
      break;
    case 'solicit':
      if (body.replaces === undefined) receiveSolicit(turn, link, body);
      else replace(turn, link, link.attempts.get(body.replaces));
  }
  show(turn, link);
}

/** Sends the description that the dataplane made, in an offer or an answer. */
export function describe(turn: Turn, peer: string, negotiation: string, { sdp, keys }: Description): void {
  const link = turn.mesh.links.get(peer);
  const attempt = link?.attempts.get(negotiation);
  if (link === undefined || attempt === undefined) {
    turn.effects.push({ type: 'close', peer, negotiation });
    return;
  }
  const { state } = attempt;
  if (state.phase === 'opening') {
    const { now } = turn.env;
    turn.mesh.describedIn = (turn.mesh.describedIn + now - attempt.since) / 2;
    advance(attempt, link.offerer ? { ...state, phase: 'offered' } : { phase: 'connecting' }, now);
  }
  if (link.offerer) {
    const { route, replaces, wide } = attempt;
    const replacing = replaces === null ? {} : { replaces };
    const draft = { kind: 'offer', negotiation, route, sdp, keys, ...replacing, ...whyDown(link) } as const;
    sendBody(turn, peer, draft, wide);
  } else {
    sendBody(turn, peer, { kind: 'answer', negotiation, sdp, keys }, attempt.wide);
  }
  if (attempt.local.length > 0) attempt.flushAt = turn.env.now;
  tend(turn, link);
}

export function ownCandidate(turn: Turn, peer: string, negotiation: string, candidate: string): void {
  const attempt = turn.mesh.links.get(peer)?.attempts.get(negotiation);
  if (attempt === undefined) return;
  attempt.local.push(candidate);
  if (attempt.state.phase !== 'opening') attempt.flushAt ??= turn.env.now + candidateDelay;
}

/** The dataplane could not make the connection of an attempt, or has lost it. */
export function endAttempt(turn: Turn, peer: string, negotiation: string, reason: string): void {
  const link = turn.mesh.links.get(peer);
  const attempt = link?.attempts.get(negotiation);
  if (link === undefined || attempt === undefined) return;
  link.attempts.delete(negotiation);
  if (isOpen(attempt)) retryNow(turn, link, attempt.route);
  else fail(turn, link, attempt.route, reason);
  // Without this the peer would wait until its offer times out, or would not know why it gets no offer.
  if (attempt.state.phase === 'opening' && (!link.offerer || attempt.route === 'shared')) {
    const detail = reason.slice(0, maxDetail);
    const about = link.offerer ? {} : { negotiation };
    sendBody(turn, peer, { kind: 'reject', ...about, reason: 'failed', detail }, attempt.wide);
  }
  tend(turn, link);
}

/** Tries links again because there is a new neighbor, through which offers may arrive that did not before. */
export function retryOutstanding(turn: Turn): void {
  const { mesh, env } = turn;
  for (const link of mesh.links.values()) {
    if (isUp(link) || link.denied || link.shared.failures === 0) continue;
    for (const attempt of [...link.attempts.values()]) {
      if (attempt.state.phase === 'offered' && isOverdue(turn, attempt)) closeAttempt(turn, link, attempt);
    }
    link.shared.failures = 0;
    link.shared.retryAt = Math.min(link.shared.retryAt, env.now + retrySpread * env.random());
  }
}

/** Makes offers anew because our epoch has changed: peers may have dropped the old ones as outdated. */
export function startOver(turn: Turn): void {
  for (const link of turn.mesh.links.values()) {
    if (isUp(link) || link.denied) continue;
    for (const attempt of [...link.attempts.values()]) {
      if (attempt.state.phase === 'offered') closeAttempt(turn, link, attempt);
    }
    link.shared.failures = 0;
    link.shared.retryAt = turn.env.now;
  }
}

/** Lets a lost link be tried at once, after which failures back off. */
export function retryNow(turn: Turn, link: Link, route: Route): void {
  const at = soonest(turn, link);
  const pace = link[route];
  pace.failures = 0;
  if (pace.retryAt !== null) pace.retryAt = at;
  // The other side asks for an offer whichever route was lost.
  if (!link.offerer) link.shared.retryAt = at;
}

/** When a lost or solicited link is tried again: at once, unless that happened too often of late. */
function soonest({ mesh, env }: Turn, { peer }: Link): number {
  const atOnce = within(mesh.quotas, `retry ${peer}`, quickRetries, quickWindow, env.now);
  return env.now + (atOnce ? 0 : mesh.config.checkInterval * (1 - env.random() / 2));
}

/** Why the link is down, which the peer shows as the far end's reason. */
function whyDown(link: Link): { detail?: string } {
  return isUp(link) || link.reason === '' ? {} : { detail: link.reason.slice(0, maxDetail) };
}

export function offer(turn: Turn, link: Link, route: Route): void {
  const { env } = turn;
  if (route === 'shared') {
    link.denied = false;
    link.relay.retryAt ??= env.now + relayDelay;
  }
  begin(turn, link, route);
}

/** Has a relayed connection replaced, because its TURN credentials end soon. */
function renew(turn: Turn, link: Link, attempt: Attempt): void {
  attempt.renewAt = turn.env.now + renewPause;
  if (link.offerer) replace(turn, link, attempt);
  else sendBody(turn, link.peer, { kind: 'solicit', replaces: attempt.negotiation });
}

/** Offers a connection that replaces `attempt`, but not before that one's deadline: a peer may ask as often as it likes. */
function replace(turn: Turn, link: Link, attempt: Attempt | undefined): void {
  if (attempt === undefined || !link.offerer || turn.env.now < deadlineOf(attempt)) return;
  if (renewalDue(link, { ...attempt, renewAt: 0 }) === null || isBeingReplaced(link, attempt)) return;
  begin(turn, link, attempt.route, attempt.negotiation);
}

function begin(turn: Turn, link: Link, route: Route, replaces: string | null = null): void {
  const { mesh } = turn;
  const identity = mesh.membership.members.get(link.peer)?.record.key;
  if (identity === undefined) return;
  const negotiation = `${mesh.self.epoch.toString(36)}-${(++mesh.offerCounter).toString(36)}`;
  const wide = link.heard && (link.unanswered || link.shared.failures % wideEvery === wideEvery - 1);
  link.attempts.set(negotiation, newAttempt(turn, { negotiation, route, replaces, identity, wide }));
  turn.effects.push({ type: 'offer', peer: link.peer, identity, negotiation, route, replaces });
}

/** Asks the peer for an offer: by a wide flood if it exists, and else through all our neighbors, with every fourth try a
 *  wide one. */
export function solicit(turn: Turn, link: Link): void {
  const { mesh, env } = turn;
  const { shared } = link;
  shared.failures++;
  link.askedAt = env.now;
  shared.retryAt = env.now + backoff(shared.failures + 1, mesh.config.checkInterval, env.random());
  const isWide = link.heard || shared.failures % wideEvery === 0;
  sendBody(turn, link.peer, { kind: 'solicit', ...whyDown(link) }, isWide ? true : 'near');
}

/** What an attempt is made from. */
type Making = Pick<Attempt, 'negotiation' | 'route' | 'replaces' | 'identity' | 'wide'>;

export function newAttempt(
  { mesh, env: { now } }: Turn,
  { negotiation, route, replaces, identity, wide }: Making,
): Attempt {
  return {
    negotiation,
    route,
    state: { phase: 'opening', held: [] },
    since: now,
    local: [],
    flushAt: null,
    renewAt: renewalTime(mesh, route, now),
    replaces,
    heardCounter: 0,
    wide,
    identity,
  };
}

function fail(turn: Turn, link: Link, route: Route, reason: string): void {
  const { mesh, env } = turn;
  if (route === 'shared') {
    // A link that has another connection can wait. One that only its direct path holds up cannot.
    if (isUp(link) && [...link.attempts.values()].some(isOpen)) {
      link.shared.retryAt = env.now + upgradeInterval * (1 - env.random() / 2);
      return;
    }
    link.reason = reason;
  }
  const pace = link[route];
  pace.failures++;
  if (pace.retryAt !== null)
    pace.retryAt = env.now + backoff(pace.failures, mesh.config.checkInterval, env.random());
}

function flushCandidates(turn: Turn, link: Link, attempt: Attempt): void {
  attempt.flushAt = null;
  const candidates = attempt.local.splice(0, 32);
  if (attempt.local.length > 0) attempt.flushAt = turn.env.now;
  if (candidates.length > 0) {
    sendBody(
      turn,
      link.peer,
      { kind: 'candidate', negotiation: attempt.negotiation, candidates },
      // New candidates of an open connection mean that its path is silent, so its own signaling may be dead as well.
      attempt.wide || isOpen(attempt),
    );
  }
}

function receiveOffer(turn: Turn, link: Link, offer: Body & { kind: 'offer' }): void {
  const { mesh, env } = turn;
  const identity = mesh.membership.members.get(link.peer)?.record.key;
  if (link.offerer || identity === undefined) return;
  link.farReason = offer.detail ?? link.farReason;
  const { negotiation, route, sdp, keys, counter, wide = false } = offer;
  const replaces = replacedBy(link, offer);
  const others = [...link.attempts.values()].filter(
    (old) => old.route === route && old.negotiation !== replaces,
  );
  if (others.some((old) => old.heardCounter > counter && old.negotiation !== negotiation)) return;
  const may = mayAnswer(turn, link);
  if (may === 'busy')
    sendBody(turn, link.peer, { kind: 'reject', negotiation, reason: 'failed', detail: 'busy' }, wide);
  if (may !== 'yes') return;
  for (const old of others) {
    link.attempts.delete(old.negotiation);
    // The peer has given up the old connection, so its `signal` channel leads nowhere.
    if (link.report?.active === old.negotiation) dropNeighbor(turn, `link:${link.peer}`);
  }
  const attempt = newAttempt(turn, { negotiation, route, replaces, identity, wide });
  attempt.heardCounter = counter;
  link.attempts.set(negotiation, attempt);
  link.denied = false;
  link.shared.retryAt = env.now + mesh.config.checkInterval;
  const epochs = { ours: mesh.self.epoch, theirs: offer.epoch };
  const attempted = { peer: link.peer, identity, negotiation, route, replaces };
  turn.effects.push({ type: 'answer', ...attempted, sdp, keys, epochs });
  if (link.early.negotiation === negotiation) {
    const { candidates } = link.early;
    link.early = { negotiation: '', candidates: [] };
    receiveCandidates(turn, link, negotiation, candidates);
  }
}

/** The negotiation that the offer replaces, if that is an open relayed connection of this link; else null. */
function replacedBy(link: Link, { route, replaces = '' }: Body & { kind: 'offer' }): string | null {
  const old = link.attempts.get(replaces);
  return route === 'relay' && old?.route === 'relay' && isOpen(old) ? replaces : null;
}

function receiveAnswer(turn: Turn, link: Link, answer: Body & { kind: 'answer' }): void {
  const attempt = link.attempts.get(answer.negotiation);
  if (attempt?.state.phase !== 'offered') return;
  const { held } = attempt.state;
  advance(attempt, { phase: 'connecting' }, turn.env.now);
  attempt.heardCounter = answer.counter;
  const { negotiation, sdp, keys } = answer;
  const epochs = { ours: turn.mesh.self.epoch, theirs: answer.epoch };
  turn.effects.push({ type: 'accept', peer: link.peer, negotiation, sdp, keys, epochs });
  receiveCandidates(turn, link, answer.negotiation, held);
}

function receiveCandidates(turn: Turn, link: Link, negotiation: string, candidates: readonly string[]): void {
  const attempt = link.attempts.get(negotiation);
  if (attempt === undefined) {
    if (link.early.negotiation !== negotiation) link.early = { negotiation, candidates: [] };
    link.early.candidates.push(...candidates.slice(0, maxEarly - link.early.candidates.length));
    return;
  }
  const { state } = attempt;
  if (link.offerer && 'held' in state) {
    state.held.push(...candidates.slice(0, maxEarly - state.held.length));
    return;
  }
  for (const candidate of candidates) {
    turn.effects.push({ type: 'add-candidate', peer: link.peer, negotiation, candidate });
  }
}

function receiveReject(turn: Turn, link: Link, reject: Body & { kind: 'reject' }): void {
  const { mesh, env } = turn;
  const attempt = reject.negotiation === undefined ? undefined : link.attempts.get(reject.negotiation);
  if (reject.negotiation === undefined && reject.reason === 'failed') {
    link.farReason = reject.detail ?? link.farReason;
    return;
  }
  if (attempt === undefined && (link.offerer || link.attempts.size > 0)) return;
  if (attempt !== undefined) closeAttempt(turn, link, attempt);
  if (reject.reason !== 'failed') {
    if (!link.denied) notice(turn, 'info', 'denied by the peer', { peer: link.peer });
    link.denied = true;
    link.reason = 'denied by the peer’s policy';
    if (reject.reason === 'identity') {
      link.reason = 'our identity key is not the one that it has for our ID';
      const code = reject.key === undefined ? 'key_in_use' : 'identity_mismatch';
      refusedBy(turn, link.peer, { code, key: reject.key });
    }
    link.relay.retryAt = null;
    link.shared.retryAt = env.now + mesh.config.forgetAfter * (1 - env.random() / 2);
  } else if (attempt !== undefined) {
    const { detail = '' } = reject;
    fail(turn, link, attempt.route, `the peer could not answer${detail === '' ? '' : `: ${detail}`}`);
  }
}

/** Whether an offer without an answer counts as lost. One that our dataplane has yet to describe has not left. */
function isOverdue({ mesh, env }: Turn, attempt: Attempt): boolean {
  return attempt.state.phase !== 'opening' && env.now >= overdueAt(mesh, attempt);
}

function overdueAt(mesh: Mesh, { since }: Attempt): number {
  return since + offerLifetime + offerLifetimePerNode * crowdOf(mesh) + latenessOf(mesh);
}

/** When to replace an unanswered offer by a wide one; infinite if the peer is not known to exist, or if one was unanswered
 *  already. */
export function wideAt(mesh: Mesh, link: Link, attempt: Attempt): number {
  const waits = attempt.state.phase === 'offered' && link.heard && !link.unanswered;
  return waits ? overdueAt(mesh, attempt) : Number.POSITIVE_INFINITY;
}

/** The peer has neither link nor offer. Drops our attempts and offers anew, unless the solicit is older than the peer's
 *  last answer, or our offer may still be on its way. */
function receiveSolicit(turn: Turn, link: Link, { counter, detail }: Body & { kind: 'solicit' }): void {
  if (!link.offerer) return;
  link.farReason = detail ?? link.farReason;
  link.denied = false;
  for (const attempt of link.attempts.values()) {
    if (attempt.heardCounter > counter || (!isOpen(attempt) && !isOverdue(turn, attempt))) return;
  }
  for (const attempt of [...link.attempts.values()]) {
    if (attempt.state.phase === 'offered') link.unanswered = true;
    closeAttempt(turn, link, attempt);
  }
  dropNeighbor(turn, `link:${link.peer}`);
  link.shared.retryAt = soonest(turn, link);
  tend(turn, link);
}

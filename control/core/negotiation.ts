/**
 * Offers, answers, candidates and their timeouts. One side always offers (`offerer.ts`); the other answers, or solicits
 * an offer when it has no link. The shared route is tried first. If it does not come up soon and either side has a TURN
 * server, the relay route is tried beside it, and given up when the shared one works after all.
 */

import { backoff } from '../../protocol/backoff.ts';
import { type Body, type Description, maxDetail, type Route } from '../../protocol/signaling.ts';
import { affordable, mayAnswer, mayAnswerAgain } from './answers.ts';
import { flushCandidates, receiveCandidates, sendCandidatesAgain } from './candidates.ts';
import { sendBody } from './flood.ts';
import { refusedBy } from './identity.ts';
import { type Attempt, advance, isOpen, isUp, type Link } from './link.ts';
import { takeAnswer } from './offer-window.ts';
import { offerRefusal } from './path-wish.ts';
import { permits } from './policy.ts';
import { within } from './quotas.ts';
import { askingReach, type Reach, reachOf } from './reach.ts';
import { isBeingReplaced, renewalDue, renewalTime, renewPause, retire } from './renewal.ts';
import {
  closeAttempt,
  crowdOf,
  dropChannel,
  ensureLink,
  latenessOf,
  type Mesh,
  notice,
  publish,
  show,
  type Turn,
} from './state.ts';
import { waitForWebSocket, webSocketRefusal } from './websocket-route.ts';

/** Milliseconds after which an offer without an answer may be lost, and is sent again. */
const offerLifetime = 1000;
/** Milliseconds more for each node, as in `gossip.ts`. */
const offerLifetimePerNode = 100;

/** Milliseconds that an attempt may take to get on from one phase to the next. ICE sends checks 50 ms apart (RFC 8445
 *  section 14.2) and DTLS retransmits after 1 s, so a path that works at all works by then. */
const phaseTimeout = 10_000;

/** Milliseconds for which who has answered waits for the peer: it cannot know how long the answer takes to get there. ICE
 *  gives up after as long (libjuice). */
const answeredTimeout = 30_000;

/** Milliseconds for which only the shared route is tried before the relay route is tried beside it. */
const relayDelay = 1500;

/** Milliseconds for which a relayed connection stays open beside its replacement, for packets under way. */
export const retireDelay = 1000;

/** Milliseconds between tries of the shared route while a relayed connection works. */
const upgradeInterval = 120_000;

/** Milliseconds over which the tries of all links are spread when a new neighbor is found. */
const retrySpread = 500;

/** Times in so many milliseconds that a lost link is tried again at once. A flapping path stays within it; a peer that
 *  opens and closes links all the time has to wait. A loss counts twice, for the connection and for the link. */
const quickRetries = 40;
const quickWindow = 200_000;

/** Does what is due for one link: sends candidates, repeats offers, replaces relayed connections. */
export function tend(turn: Turn, link: Link): void {
  const { mesh, env } = turn;
  if (!mesh.dataplaneUp) return;
  for (const attempt of [...link.attempts.values()]) {
    if (attempt.flushAt !== null && env.now >= attempt.flushAt) flushCandidates(turn, link, attempt);
    if (attempt.state.phase === 'offered' && env.now >= attempt.repeatAt) {
      link.unanswered++;
      attempt.repeats++;
      attempt.reach = reachOf(turn, link);
      say(turn, link, attempt);
    }
  }
  if (link.retireAt !== null && env.now >= link.retireAt) retire(turn, link);
  for (const attempt of [...link.attempts.values()]) {
    const due = renewalDue(link, attempt);
    if (due !== null && env.now >= due) renew(turn, link, attempt);
  }
  show(turn, link);
}

/** Ends an attempt that had its time. */
export function giveUp(turn: Turn, link: Link, attempt: Attempt): void {
  const unanswered = attempt.state.phase === 'offered';
  if (unanswered) link.unanswered++;
  turn.mesh.outcomes[unanswered ? 'unanswered' : 'no_path']++;
  closeAttempt(turn, link, attempt);
  fail(turn, link, attempt.route, 'no path found');
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
        reachBack(body),
      );
    } else if (body.kind === 'solicit') {
      sendBody(turn, body.from, { kind: 'reject', reason: 'denied' }, reachBack(body));
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
    const late = latenessOf(turn.mesh);
    if (link.offerer) {
      advance(attempt, { ...state, phase: 'offered' }, now, phaseTimeout + late);
    } else advance(attempt, { phase: 'connecting' }, now, answeredTimeout + late);
  }
  attempt.said = { sdp, keys };
  say(turn, link, attempt);
  tend(turn, link);
}

/** Sends our description, and all candidates that there are. */
function say(turn: Turn, link: Link, attempt: Attempt): void {
  if (attempt.said === null) return;
  attempt.saidAt = turn.env.now;
  const { negotiation, route, replaces, reach, said, repeats } = attempt;
  if (link.offerer) {
    const replacing = replaces === null ? {} : { replaces };
    const draft = { kind: 'offer', negotiation, route, ...said, ...replacing, ...whyDown(link) } as const;
    sendBody(turn, link.peer, draft, reach);
    attempt.repeatAt = link.heard
      ? turn.env.now + lifetimeOf(turn.mesh) * 2 ** repeats
      : Number.POSITIVE_INFINITY;
  } else sendBody(turn, link.peer, { kind: 'answer', negotiation, ...said }, reach);
  sendCandidatesAgain(attempt, turn.env.now);
}

/** Who asked everyone is answered through everyone. */
function reachBack({ wide }: Body): Reach {
  return wide === true ? 'wide' : 'straight';
}

/** The dataplane could not make the connection of an attempt, or has lost it. */
export function endAttempt(turn: Turn, peer: string, negotiation: string, reason: string): void {
  const link = turn.mesh.links.get(peer);
  const attempt = link?.attempts.get(negotiation);
  if (link === undefined || attempt === undefined) return;
  link.attempts.delete(negotiation);
  if (isOpen(attempt)) retryNow(turn, link, attempt.route);
  else {
    turn.mesh.outcomes.failed++;
    fail(turn, link, attempt.route, reason);
  }
  // Without this the peer would wait until its offer times out, or would not know why it gets no offer.
  if (attempt.state.phase === 'opening' && (!link.offerer || attempt.route === 'shared')) {
    const detail = reason.slice(0, maxDetail);
    const about = link.offerer ? {} : { negotiation };
    sendBody(turn, peer, { kind: 'reject', ...about, reason: 'failed', detail }, attempt.reach);
  }
  tend(turn, link);
}

/** Tries links again because there is a new neighbor, through which offers may arrive that did not before. */
export function retryOutstanding(turn: Turn): void {
  const { mesh, env } = turn;
  for (const link of mesh.links.values()) {
    if (isUp(link) || link.denied) continue;
    for (const attempt of link.attempts.values()) {
      if (attempt.state.phase === 'offered' && isOverdue(turn, attempt))
        attempt.repeatAt = env.now + retrySpread * env.random();
    }
    if (link.shared.failures === 0) continue;
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
    waitForWebSocket(turn, link);
  } else if (link.path === 'relay') {
    link.denied = false;
    link.relay.retryAt ??= env.now;
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
  if (attempt === undefined || !link.offerer || turn.env.now < attempt.deadline) return;
  if (renewalDue(link, { ...attempt, renewAt: 0 }) === null || isBeingReplaced(link, attempt)) return;
  begin(turn, link, attempt.route, attempt.negotiation);
}

function begin(turn: Turn, link: Link, route: Route, replaces: string | null = null): void {
  const { mesh } = turn;
  const identity = mesh.membership.members.get(link.peer)?.record.key;
  if (identity === undefined) return;
  const negotiation = `${mesh.self.epoch.toString(36)}-${(++mesh.offerCounter).toString(36)}`;
  const reach = reachOf(turn, link);
  link.attempts.set(negotiation, newAttempt(turn, { negotiation, route, replaces, identity, reach }));
  turn.effects.push({ type: 'offer', peer: link.peer, identity, negotiation, route, replaces });
}

/** Asks the peer for an offer. */
export function solicit(turn: Turn, link: Link): void {
  const { mesh, env } = turn;
  const { shared } = link;
  shared.failures++;
  link.askedAt = env.now;
  shared.retryAt = env.now + backoff(shared.failures + 1, mesh.config.checkInterval, env.random());
  sendBody(turn, link.peer, { kind: 'solicit', ...whyDown(link) }, askingReach(turn, link));
}

/** What an attempt is made from. */
type Making = Pick<Attempt, 'negotiation' | 'route' | 'replaces' | 'identity' | 'reach'>;

export function newAttempt(
  { mesh, env: { now } }: Turn,
  { negotiation, route, replaces, identity, reach }: Making,
): Attempt {
  return {
    negotiation,
    route,
    state: { phase: 'opening', held: [] },
    since: now,
    deadline: now + phaseTimeout + latenessOf(mesh),
    said: null,
    saidAt: now,
    repeatAt: Number.POSITIVE_INFINITY,
    repeats: 0,
    candidates: [],
    local: [],
    flushAt: null,
    renewAt: renewalTime(mesh, route, now),
    replaces,
    heardCounter: 0,
    reach,
    identity,
  };
}

function fail(turn: Turn, link: Link, route: Route, reason: string): void {
  const { mesh, env } = turn;
  const pace = link[route];
  const open = isUp(link) ? [...link.attempts.values()].filter(isOpen) : [];
  // A link that has another connection can wait. One that only its direct path holds up cannot, and a WebSocket is so much
  // less than any other that the pauses grow first.
  if (open.some((other) => other.route !== 'websocket')) {
    pace.retryAt = env.now + upgradeInterval * (1 - env.random() / 2);
    return;
  }
  if (route === 'shared' || link.path === 'relay') link.reason = reason;
  pace.failures++;
  if (pace.retryAt !== null)
    pace.retryAt =
      env.now +
      backoff(pace.failures, open.length > 0 ? upgradeInterval : mesh.config.checkInterval, env.random());
}

function receiveOffer(turn: Turn, link: Link, offer: Body & { kind: 'offer' }): void {
  const { mesh, env } = turn;
  const identity = mesh.membership.members.get(link.peer)?.record.key;
  if (link.offerer || identity === undefined) return;
  link.farReason = offer.detail ?? link.farReason;
  const { negotiation, route, sdp, keys, counter } = offer;
  const reach = reachBack(offer);
  const known = link.attempts.get(negotiation);
  if (known !== undefined) {
    answerAgain(turn, link, known, reach);
    return;
  }
  const unwanted =
    offerRefusal(link, route, env.now) ??
    (route === 'websocket' ? webSocketRefusal(mesh, link.peer) : undefined);
  if (unwanted !== undefined) {
    const refusal = { kind: 'reject', negotiation, reason: 'failed', detail: unwanted } as const;
    if (mayAnswerAgain(turn, link)) sendBody(turn, link.peer, refusal, reach);
    return;
  }
  const replaces = replacedBy(link, offer);
  const others = [...link.attempts.values()].filter(
    (old) => old.route === route && old.negotiation !== replaces,
  );
  if (others.some((old) => old.heardCounter > counter)) return;
  const may = mayAnswer(turn, link);
  if (may === 'busy')
    sendBody(turn, link.peer, { kind: 'reject', negotiation, reason: 'failed', detail: 'busy' }, reach);
  if (may !== 'yes') return;
  for (const old of others) {
    link.attempts.delete(old.negotiation);
    // The peer has given up the old connection, so its `signal` channel leads nowhere.
    if (link.report?.active === old.negotiation) dropChannel(turn, `link:${link.peer}`);
  }
  const attempt = newAttempt(turn, { negotiation, route, replaces, identity, reach });
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

/** The peer repeats its offer, so it has no answer of ours. */
function answerAgain(turn: Turn, link: Link, attempt: Attempt, reach: Reach): void {
  attempt.reach = reach === 'straight' ? 'near' : reach;
  if (attempt.state.phase === 'connecting' && mayAnswerAgain(turn, link)) say(turn, link, attempt);
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
  takeAnswer(turn.mesh.offerWindow, attempt.since, turn.env.now);
  advance(attempt, { phase: 'connecting' }, turn.env.now, phaseTimeout + latenessOf(turn.mesh));
  attempt.heardCounter = answer.counter;
  const { negotiation, sdp, keys } = answer;
  const epochs = { ours: turn.mesh.self.epoch, theirs: answer.epoch };
  turn.effects.push({ type: 'accept', peer: link.peer, negotiation, sdp, keys, epochs });
  receiveCandidates(turn, link, answer.negotiation, held);
}

function receiveReject(turn: Turn, link: Link, reject: Body & { kind: 'reject' }): void {
  const { mesh, env } = turn;
  const attempt = reject.negotiation === undefined ? undefined : link.attempts.get(reject.negotiation);
  if (reject.negotiation === undefined && reject.reason === 'failed') {
    link.farReason = reject.detail ?? link.farReason;
    return;
  }
  if (attempt === undefined && (link.offerer || link.attempts.size > 0)) return;
  if (attempt !== undefined) {
    mesh.outcomes.rejected++;
    closeAttempt(turn, link, attempt);
  }
  if (reject.reason !== 'failed') {
    if (!link.denied) {
      notice(turn, 'info', 'denied by the peer', { peer: link.peer });
      if (reject.reason === 'denied')
        publish(turn, { event: 'policy.denied', peer: link.peer, reason: 'the policy of the peer' });
    }
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
  return attempt.state.phase !== 'opening' && env.now >= attempt.saidAt + lifetimeOf(mesh);
}

/** Milliseconds. */
export function lifetimeOf(mesh: Mesh): number {
  return offerLifetime + offerLifetimePerNode * crowdOf(mesh) + latenessOf(mesh);
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
  const offered = [...link.attempts.values()].filter(({ state }) => state.phase === 'offered');
  for (const attempt of offered) {
    attempt.reach = 'straight';
    say(turn, link, attempt);
  }
  if (offered.length > 0) return;
  for (const attempt of [...link.attempts.values()]) closeAttempt(turn, link, attempt);
  dropChannel(turn, `link:${link.peer}`);
  link.shared.retryAt = soonest(turn, link);
  tend(turn, link);
}

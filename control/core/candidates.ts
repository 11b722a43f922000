/** Candidates: ours are gathered and sent, those of the peer wait for the description that they belong to. */
import { sendBody } from './flood.ts';
import { type Attempt, isOpen, type Link } from './link.ts';
import { noteCandidate } from './link-view.ts';
import { mayTell, mayTry } from './path-wish.ts';
import type { Turn } from './state.ts';

/** Milliseconds for which candidates are gathered into one message. */
const candidateDelay = 15;

/** Candidates kept for an offer or answer that has not arrived yet. */
const maxEarly = 64;

export function ownCandidate(turn: Turn, peer: string, negotiation: string, candidate: string): void {
  const link = turn.mesh.links.get(peer);
  const attempt = link?.attempts.get(negotiation);
  if (link === undefined || attempt === undefined || !mayTell(turn.mesh, link, candidate)) return;
  noteCandidate(link.toldCandidates, candidate);
  attempt.local.push(candidate);
  if (attempt.state.phase !== 'opening') attempt.flushAt ??= turn.env.now + candidateDelay;
}

/** Has all of ours sent soon, those that were sent before among them. */
export function sendCandidatesAgain(attempt: Attempt, now: number): void {
  attempt.local.unshift(...attempt.candidates.splice(0));
  if (attempt.local.length > 0) attempt.flushAt = now;
}

export function flushCandidates(turn: Turn, link: Link, attempt: Attempt): void {
  attempt.flushAt = null;
  const candidates = attempt.local.splice(0, 32);
  if (attempt.local.length > 0) attempt.flushAt = turn.env.now;
  if (candidates.length > 0) {
    sendBody(
      turn,
      link.peer,
      { kind: 'candidate', negotiation: attempt.negotiation, candidates },
      // New candidates of an open connection mean that its path is silent, so its own signaling may be dead as well.
      isOpen(attempt) ? 'wide' : attempt.reach,
    );
    attempt.candidates.push(...candidates);
  }
}

export function receiveCandidates(
  turn: Turn,
  link: Link,
  negotiation: string,
  candidates: readonly string[],
): void {
  for (const candidate of candidates) noteCandidate(link.heardCandidates, candidate);
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
    if (!mayTry(turn.mesh, link, candidate)) continue;
    turn.effects.push({ type: 'add-candidate', peer: link.peer, negotiation, candidate });
  }
}

/**
 * Which offers are answered. An answer makes the dataplane open a connection and send to addresses that the peer chose.
 * So there are three bounds: offers of one peer in a minute; answers, in ten seconds, to never linked peers that one
 * neighbor told of; and connections with never linked peers at a time. Where the last bound is reached, a new connection
 * takes the place of the oldest one of the neighbor that told of most of them. If it is of such a neighbor itself, the oldest
 * must have had its time: honest nodes that join in the same moment do not end each other's connections.
 */
import { refuse, spend } from './costs.ts';
import type { Attempt, Link } from './link.ts';
import { within } from './quotas.ts';
import { closeAttempt, type Mesh, type Turn } from './state.ts';

/** Connections with peers that were never linked, of 150 kB each. A hundred nodes that join at once find room, since each
 *  takes it for less than a second. */
const maxAnswers = 80;

/** Milliseconds in which a connection opens if no packet is lost, and once DTLS has retransmitted what was. */
const usualTime = 2000;

/** Offers of one peer, on both routes, that are answered in so many milliseconds. A peer that fails for long tries each
 *  route every ten seconds. */
const offers = 60;
const offersWindow = 60_000;

/** Whether to answer an offer: 'yes', after room was made; 'busy', which the peer is told; or 'no', without a word. */
export function mayAnswer(turn: Turn, link: Link): 'yes' | 'busy' | 'no' {
  const { mesh, env } = turn;
  if (!mayAnswerAgain(turn, link)) return 'no';
  if (link.everUp) return 'yes';
  if (!spend(mesh, link.introducer, 'answers', env.now)) return 'busy';
  if (makeRoom(turn, link.introducer)) return 'yes';
  refuse(mesh, link.introducer, 'answers', env.now);
  return 'busy';
}

/** Whether to answer an offer that was answered before. */
export function mayAnswerAgain({ mesh, env }: Turn, link: Link): boolean {
  if (within(mesh.quotas, `answer ${link.peer}`, offers, offersWindow, env.now)) return true;
  refuse(mesh, payerOf(mesh, link), 'offers', env.now);
  return false;
}

/** The candidates among these that the peer may still have tried. */
export function affordable(turn: Turn, link: Link, candidates: readonly string[]): readonly string[] {
  const { mesh, env } = turn;
  const payer = payerOf(mesh, link);
  return candidates.filter(() => spend(mesh, payer, 'candidates', env.now, 1, link.peer));
}

/** The neighbor that is charged: the peer itself if it has an account, else the neighbor that told of it. */
function payerOf(mesh: Mesh, { peer, introducer }: Link): string {
  return mesh.accounts.has(peer) ? peer : introducer;
}

/** Makes room for a connection with a peer that `introducer` told of. False if there is none to be had. */
function makeRoom(turn: Turn, introducer: string): boolean {
  const byIntroducer = new Map<string, { link: Link; attempt: Attempt }[]>();
  let count = 0;
  for (const link of turn.mesh.links.values()) {
    if (link.offerer || link.everUp) continue;
    for (const attempt of link.attempts.values()) {
      const list = byIntroducer.get(link.introducer) ?? [];
      byIntroducer.set(link.introducer, list);
      list.push({ link, attempt });
      count++;
    }
  }
  if (count < maxAnswers) return true;
  const lists = [...byIntroducer.values()];
  const most = Math.max(...lists.map(({ length }) => length));
  const { link, attempt } = lists
    .filter(({ length }) => length === most)
    .flat()
    .reduce((a, b) => (b.attempt.since < a.attempt.since ? b : a));
  const hasFewer = (byIntroducer.get(introducer)?.length ?? 0) + 1 < most;
  const hadItsTime = turn.env.now >= attempt.since + usualTime;
  if (!hasFewer && !hadItsTime) return false;
  closeAttempt(turn, link, attempt);
  return true;
}

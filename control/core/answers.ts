/**
 * Which offers are answered. Each answer makes a connection of the dataplane, which then sends to addresses that the peer
 * names. So each peer is answered so often in a while, each neighbor so many peers that were never linked, and of these
 * so many at a time: one more takes the place of the oldest, of the neighbor that told of most of them.
 */
import { refuse, spend } from './costs.ts';
import type { Attempt, Link } from './link.ts';
import { within } from './quotas.ts';
import { closeAttempt, type Mesh, type Turn } from './state.ts';

/** Connections with peers that were never linked. A hundred nodes that join at once make a hundred, each for less than a
 *  second. */
const maxAnswers = 128;

/** Offers of one peer, of both routes, that are answered in so many milliseconds: it tries one route every ten seconds at
 *  last. */
const offers = 60;
const offersWindow = 60_000;

/** Whether to answer, and if not what to say; there is room then. */
export function mayAnswer(turn: Turn, link: Link): 'yes' | 'busy' | 'no' {
  const { mesh, env } = turn;
  if (!within(mesh.quotas, `answer ${link.peer}`, offers, offersWindow, env.now)) {
    refuse(mesh, payerOf(mesh, link), 'offers', env.now);
    return 'no';
  }
  if (link.everUp) return 'yes';
  if (!spend(mesh, link.introducer, 'answers', env.now)) return 'busy';
  makeRoom(turn);
  return 'yes';
}

/** Of these candidates those that are tried. */
export function affordable(turn: Turn, link: Link, candidates: readonly string[]): readonly string[] {
  const { mesh, env } = turn;
  const payer = payerOf(mesh, link);
  return candidates.filter(() => spend(mesh, payer, 'candidates', env.now, 1, link.peer));
}

/** Who has no account of its own is paid for by the neighbor that told of it. */
function payerOf(mesh: Mesh, { peer, introducer }: Link): string {
  return mesh.accounts.has(peer) ? peer : introducer;
}

function makeRoom(turn: Turn): void {
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
  if (count < maxAnswers) return;
  const most = [...byIntroducer.values()].reduce((a, b) => (b.length > a.length ? b : a));
  const oldest = most.reduce((a, b) => (b.attempt.deadline < a.attempt.deadline ? b : a));
  closeAttempt(turn, oldest.link, oldest.attempt);
}

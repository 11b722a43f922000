/**
 * Keeps links to the paths that the operator wants for a peer: `direct` ones take no TURN server, `relay` ones no other way.
 * Each end keeps to its own wish, and tells the other one when it refuses an offer; so of two wishes the stricter one counts,
 * and where both exclude each other there is no link.
 *
 * A relayed pair has a TURN server at one end at least. Where only one node has one, ICE may find a pair without it first:
 * that connection is closed, and tried again after a while.
 */

import type { Route } from '../../protocol/signaling.ts';
import type { CandidatePair } from '../../protocol/status.ts';
import { isUp, type Link } from './link.ts';
import { type PathWish, settingOf } from './peer-settings.ts';
import { type Policy, pathTo } from './policy.ts';
import { closeAttempt, ensureLink, type Mesh, removeLink, type Turn } from './state.ts';

/** What we tell a peer whose offer is refused. */
const words: Readonly<Record<Exclude<PathWish, 'any'>, string>> = {
  direct: 'its configuration wants no relayed path here',
  relay: 'its configuration wants relayed paths alone here',
};

const ours: typeof words = {
  direct: 'our configuration wants no relayed path to this peer, and no other was found',
  relay: 'our configuration wants relayed paths alone to this peer',
};

export function mayTake(path: PathWish, route: Route): boolean {
  return path === 'any' || route === (path === 'relay' ? 'relay' : 'shared');
}

/** Why an offer is refused, for the peer; undefined where it is not. */
export function offerRefusal(link: Link, route: Route, now: number): string | undefined {
  const { path, relay } = link;
  if (path === 'any') return undefined;
  if (!mayTake(path, route)) {
    link.reason = ours[path];
    return words[path];
  }
  // A pair that was not relayed has just been closed.
  return path === 'relay' && !link.offerer && relay.retryAt !== null && now < relay.retryAt
    ? words.relay
    : undefined;
}

/** Whether a candidate of the peer's may be tried. */
export function mayTry({ membership }: Mesh, { path, peer }: Link, candidate: string): boolean {
  if (path === 'any') return true;
  if (path === 'direct') return !isRelay(candidate);
  return isRelay(candidate) || membership.members.get(peer)?.record.turn !== true;
}

/** Whether the peer may be told of a candidate of ours. */
export function mayTell({ self }: Mesh, { path }: Link, candidate: string): boolean {
  return path !== 'relay' || isRelay(candidate) || !self.turn;
}

/** Why there can be no link at all; empty where nothing is against it. */
export function pathTrouble({ self, membership }: Mesh, { path, peer }: Link): string {
  if (path !== 'relay' || self.turn || membership.members.get(peer)?.record.turn === true) return '';
  return `${ours.relay}, and neither node has a TURN server`;
}

/** The operator may have changed what is wanted: what is not up is tried anew. */
export function takeWishes(turn: Turn): void {
  const { mesh, env } = turn;
  for (const link of [...mesh.links.values()]) {
    const path = pathTo(mesh.config.policy, link.peer);
    if (path === link.path) continue;
    link.path = path;
    if (!isUp(link)) {
      link.reason = '';
      link.shared.retryAt = env.now;
      link.relay.retryAt = null;
    }
    keepToPath(turn, link);
  }
}

/** A link whose interface is to have another name is made anew. */
export function takeNames(turn: Turn, before: Policy): void {
  const { links, config } = turn.mesh;
  for (const [peer, { report }] of [...links]) {
    const wanted = settingOf(config.policy.peers, peer, 'interface');
    const has = report?.interface?.name;
    if (has === undefined || wanted === settingOf(before.peers, peer, 'interface') || wanted === has)
      continue;
    removeLink(turn, peer, 'its interface gets another name');
    ensureLink(turn, peer);
  }
}

/** Closes what is not wanted. False where that was what held the link up. */
export function keepToPath(turn: Turn, link: Link): boolean {
  const { path, peer, report, attempts } = link;
  if (path === 'any') return true;
  const unwanted = [...attempts.values()].filter(({ route }) => !mayTake(path, route));
  if (path === 'relay' && (unwanted.length > 0 || report?.path === 'direct')) {
    // The direct path outlives the connection that it came with, so nothing of the link stays.
    removeLink(turn, peer, ours.relay);
    const next = ensureLink(turn, peer);
    if (next !== undefined) next.reason = ours.relay;
    return false;
  }
  for (const attempt of unwanted) closeAttempt(turn, link, attempt);
  const pair = isUp(link) ? (report?.pair ?? null) : null;
  if (pair === null || isRelayed(pair) === (path === 'relay')) return true;
  const { env, mesh } = turn;
  for (const attempt of [...attempts.values()]) closeAttempt(turn, link, attempt);
  link.reason = `${ours[path]}, and the pair that was found is ${path === 'relay' ? 'not relayed' : 'relayed'}`;
  const pause = mesh.config.forgetAfter * (1 - env.random() / 2);
  link.shared.retryAt = link.relay.retryAt = env.now + pause;
  return false;
}

function isRelayed({ local, remote }: CandidatePair): boolean {
  return local.type === 'relay' || remote.type === 'relay';
}

/** RFC 8839 section 5.1: `typ` and the type follow the address. */
function isRelay(candidate: string): boolean {
  return / typ relay( |$)/.test(candidate);
}

/**
 * How far a body goes. One that nobody answered may have gone to who passes nothing on, or may only be late. On a machine
 * that is overloaded everything is late, and what is sent again by all ways makes it later: so it first goes by a few
 * others of our neighbors, and to everyone only now and then.
 */
import type { Link } from './link.ts';
import type { Turn } from './state.ts';

export type Reach =
  /** By the next hop; where none is known, to all neighbors at each node. */
  | 'straight'
  /** To the next hop and a few other neighbors, which use their next hops. */
  | 'near'
  /** To all neighbors at each node: as many messages as there are pairs of neighbors, twice at most. */
  | 'wide';

/** Neighbors besides the next hop. */
const few = 3;

/** Milliseconds, for each message that a wide body of ours makes in a mesh whose nodes all have as many neighbors as we do,
 *  until there may be another one; and at most. */
const perMessage = 20;
const longestPause = 60_000;

const escalation = ['straight', 'near', 'wide'] as const;

/** Most tries fail for want of a path, which no other way mends; but a next hop may pass on only a part of what is said. */
const wideEvery = 4;

/** How far an offer goes. */
export function reachOf(turn: Turn, { heard, unanswered, shared }: Link): Reach {
  if (!heard) return 'straight';
  if (unanswered > 0) return asFar(turn, escalation[unanswered % escalation.length]!);
  return shared.failures % wideEvery === wideEvery - 1 ? asFar(turn, 'wide') : 'straight';
}

/** How far a solicit goes. */
export function askingReach(turn: Turn, { heard, shared }: Link): Reach {
  return asFar(turn, shared.failures % (heard ? 2 : wideEvery) === 0 ? 'wide' : 'near');
}

/** `wanted`, or less where the last wide body of ours was not long ago. */
export function asFar({ mesh, env }: Turn, wanted: Reach): Reach {
  if (wanted !== 'wide') return wanted;
  if (env.now < mesh.wideAt) return 'near';
  mesh.wideAt = env.now + Math.min(longestPause, perMessage * mesh.neighbors.size ** 2);
  return 'wide';
}

/** Leaves those of the neighbors that are to be asked, and a few others, at random. */
export function keepFew(
  neighbors: Map<string, unknown>,
  asked: readonly (string | undefined)[],
  random: () => number,
): void {
  const others = [...neighbors.keys()].filter((id) => !asked.includes(id));
  for (let kept = 0; kept < few && others.length > 0; kept++)
    others.splice(Math.floor(random() * others.length), 1);
  for (const id of others) neighbors.delete(id);
}

/**
 * Whether the kernel takes packets that were joined for an interface. Where it refuses one the engine stops joining by
 * itself; here is when it begins again, and how long an operator is told of it. What was refused may have been one odd
 * packet of somebody's, and not joining makes a link several times slower: so the pauses are short at first.
 *
 *     joining ── refused ──► apart ── 10 s, 20 s, … 10 min ──► tried ── as long again without a refusal ──► joining
 *                              ▲────────────── refused ──────────┘
 */

/** Milliseconds. */
const firstPause = 10_000;
const longestPause = 600_000;

export interface Joining {
  /** Super-packets that were refused. */
  refused: number;
  /** Milliseconds of the pause that is on, or comes next. */
  pause: number;
  /** When it is over; undefined: nothing was refused lately. */
  until: number | undefined;
  /** Packets are joined again, but for how long? */
  tried: boolean;
}

export function newJoining(): Joining {
  return { refused: 0, pause: firstPause, until: undefined, tried: false };
}

/** `refused`: how many super-packets the kernel has refused so far; `now` in milliseconds. Gives what follows: tell an
 *  operator, join again, tell that it is over. */
export function stepJoining(
  joining: Joining,
  refused: number,
  now: number,
): 'tell' | 'join' | 'over' | undefined {
  if (refused > joining.refused) {
    if (joining.tried) joining.pause = Math.min(2 * joining.pause, longestPause);
    joining.refused = refused;
    joining.tried = false;
    joining.until = now + joining.pause;
    return 'tell';
  }
  if (joining.until === undefined || now < joining.until) return undefined;
  if (!joining.tried) {
    joining.tried = true;
    joining.until = now + joining.pause;
    return 'join';
  }
  Object.assign(joining, { ...newJoining(), refused });
  return 'over';
}

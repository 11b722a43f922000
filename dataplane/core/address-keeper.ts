/**
 * When to put an interface's address back that somebody took away. `ip link set down` and a look at `disable_ipv6` take
 * it once; whoever takes it again and again means it, or is another program that believes the interface to be its own,
 * and is left to it more and more.
 */

/** Milliseconds from the first time to the next at the earliest, doubling. */
const firstPause = 2000;
const longestPause = 64_000;
/** Milliseconds for which the address has to stay, for the pause to begin anew. */
const calmTime = 60_000;
/** Milliseconds of pause from which on somebody is at work. */
const contestedPause = 16_000;

export interface AddressKeeper {
  /** Milliseconds; 0: it was not put back of late. */
  pause: number;
  /** When it was put back last. */
  at: number;
}

export function newAddressKeeper(): AddressKeeper {
  return { pause: 0, at: Number.NEGATIVE_INFINITY };
}

/** The address is there. */
export function isThere(keeper: AddressKeeper, now: number): void {
  if (now - keeper.at >= keeper.pause + calmTime) keeper.pause = 0;
}

/** The address is not there: whether to put it back now. */
export function mayPutBack(keeper: AddressKeeper, now: number): boolean {
  return now - keeper.at >= keeper.pause;
}

/** The kernel took it back. */
export function wasPutBack(keeper: AddressKeeper, now: number): void {
  keeper.pause = keeper.pause === 0 ? firstPause : Math.min(longestPause, keeper.pause * 2);
  keeper.at = now;
}

export function isContested(keeper: AddressKeeper): boolean {
  return keeper.pause >= contestedPause;
}

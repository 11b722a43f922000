/**
 * How many offers to peers that were never linked may await their answers at a time. As with TCP's congestion window (RFC
 * 5681), answers that come soon widen it, and answers that come late halve it: what all nodes of a mesh have under way at
 * once waits in the queue of a node that is slow, and the longer the queue, the later is each of them.
 *
 * An offer that is not answered at all is no sign of that: its peer may be gone, or invented. It takes part of the window
 * until one that was made after it has been answered, and for ten seconds at most.
 */
export interface OfferWindow {
  size: number;
  /** When the latest offer that was answered was made. Milliseconds, like all times here. */
  answered: number;
}

const first = 4;
const least = 2;

/** Of all offers that are under way. */
export const maxOffers = 32;

/** Milliseconds in which an answer comes over long paths, unless a machine on the way is overloaded. */
const soon = 2000;

/** Milliseconds for which an offer that nobody overtakes takes part of the window. */
const longest = 10_000;

export function newOfferWindow(): OfferWindow {
  return { size: first, answered: 0 };
}

/** An offer that was made at `since` is answered. */
export function takeAnswer(window: OfferWindow, since: number, now: number): void {
  window.answered = Math.max(window.answered, since);
  window.size =
    now - since <= soon ? Math.min(maxOffers, window.size + 1) : Math.max(least, window.size >> 1);
}

/** Until when an offer that was made at `since` takes part of it; `lifetime`: the milliseconds in which it is answered
 *  unless it is lost. */
export function awaitedUntil({ answered }: OfferWindow, since: number, lifetime: number): number {
  return since + (since < answered ? Math.min(lifetime, longest) : longest);
}

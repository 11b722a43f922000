/** Accepts each body of a sender once. Floods arrive by many ways and out of order, so a window slides over the counters
 *  of the sender's newest epoch (RFC 4303 section 3.4.3). Bodies of an older epoch are not accepted. */

const windowSize = 1024;

export interface ReplayWindow {
  epoch: number;
  highest: number;
  readonly seen: Set<number>;
}

export function newWindow(): ReplayWindow {
  return { epoch: 0, highest: 0, seen: new Set() };
}

/** True for a body that is new. False if it was accepted before, or is older than the window. */
export function accept(window: ReplayWindow, epoch: number, counter: number): boolean {
  if (epoch < window.epoch) return false;
  if (epoch > window.epoch) {
    window.epoch = epoch;
    window.highest = 0;
    window.seen.clear();
  }
  if (counter <= window.highest - windowSize || window.seen.has(counter)) return false;
  window.seen.add(counter);
  if (counter > window.highest) {
    window.highest = counter;
    if (window.seen.size > windowSize) {
      for (const old of window.seen) if (old <= counter - windowSize) window.seen.delete(old);
    }
  }
  return true;
}

/** Questions to peers about what they see of a link, until they are answered. */
import { CryonetError } from '../../protocol/errors.ts';
import type { LinkView } from '../../protocol/link-view.ts';

/** Milliseconds until it is asked again by all ways, and until nobody waits any more. */
const again = 1000;
const patience = 3000;
const maxWaiting = 16;

interface Waiting {
  readonly peer: string;
  readonly settle: (view: LinkView | null) => void;
}

export class FarViews {
  readonly #waiting = new Map<number, Waiting>();
  #number = 0;

  /** Null where no answer comes. Rejects with `unavailable` where too many wait. */
  async ask(peer: string, send: (number: number, wide: boolean) => void): Promise<LinkView | null> {
    if (this.#waiting.size >= maxWaiting)
      throw new CryonetError('unavailable', 'too many questions to peers wait for their answers');
    const number = ++this.#number;
    const { promise, resolve: settle } = Promise.withResolvers<LinkView | null>();
    this.#waiting.set(number, { peer, settle });
    const timers = [setTimeout(send, again, number, true), setTimeout(settle, patience, null)];
    try {
      send(number, false);
      return await promise;
    } finally {
      for (const timer of timers) clearTimeout(timer);
      this.#waiting.delete(number);
    }
  }

  /** What nobody has asked that peer for is passed over. */
  answered(peer: string, number: number, view: LinkView): void {
    const waiting = this.#waiting.get(number);
    if (waiting?.peer === peer) waiting.settle(view);
  }

  /** Idempotent. */
  close(): void {
    for (const { settle } of this.#waiting.values()) settle(null);
  }
}

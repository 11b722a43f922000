/**
 * Which event has its hooks run next. There is one at a time of each peer, in the order in which they came; peers take
 * turns, so that one whose link flaps keeps nobody waiting.
 */

/** Events that wait of one peer. The oldest make room: what came last says how things are. */
const maxOfPeer = 32;
/** Peers that have events here. Of more than these the one that waits longest gives up its own. */
const maxPeers = 1024;
/** Hooks that run at a time. */
const maxRunning = 4;

interface Waiting<Event> {
  readonly events: Event[];
  running: boolean;
}

export class HookQueue<Event extends { readonly peer?: string | undefined }> {
  /** By peer, who comes next first; events about no peer are under the empty name. */
  readonly #peers = new Map<string, Waiting<Event>>();
  #running = 0;
  #leftOut = 0;

  /** How many events were left out since this was asked. */
  takeLeftOut(): number {
    const count = this.#leftOut;
    this.#leftOut = 0;
    return count;
  }

  add(event: Event): void {
    const peer = event.peer ?? '';
    const waiting = this.#peers.get(peer) ?? { events: [], running: false };
    this.#peers.set(peer, waiting);
    waiting.events.push(event);
    if (waiting.events.length > maxOfPeer) {
      waiting.events.shift();
      this.#leftOut++;
    }
    if (this.#peers.size <= maxPeers) return;
    for (const [other, { events, running }] of this.#peers) {
      if (running) continue;
      this.#peers.delete(other);
      this.#leftOut += events.length;
      return;
    }
  }

  /** The next event to run hooks of, and what to call when they have ended; undefined while there is none, or no room. */
  next(): { readonly event: Event; readonly done: () => void } | undefined {
    if (this.#running === maxRunning) return undefined;
    for (const [peer, waiting] of this.#peers) {
      if (waiting.running) continue;
      const event = waiting.events.shift()!;
      waiting.running = true;
      this.#running++;
      return { event, done: () => this.#done(peer, waiting) };
    }
    return undefined;
  }

  #done(peer: string, waiting: Waiting<Event>): void {
    this.#running--;
    waiting.running = false;
    // Behind all others.
    this.#peers.delete(peer);
    if (waiting.events.length > 0) this.#peers.set(peer, waiting);
  }
}

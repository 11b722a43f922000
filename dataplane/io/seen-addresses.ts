/** Where STUN servers see our port now, asked once for all peers that have not answered. */
import type { Engine, IceServer } from './webrtc.ts';

/** Milliseconds that an answer serves: peers behind one fault are missed together. */
const lifetime = 500;

export class SeenAddresses {
  #askedAt = Number.NEGATIVE_INFINITY;
  #answer: Promise<readonly string[]> = Promise.resolve([]);

  /** Server-reflexive candidates. */
  look(engine: Engine, servers: readonly IceServer[]): Promise<readonly string[]> {
    const now = performance.now();
    if (now - this.#askedAt < lifetime) return this.#answer;
    this.#askedAt = now;
    this.#answer = engine.reflexive(servers);
    return this.#answer;
  }
}

import type { CandidateType } from '../webrtc.ts';

/** A TURN server gives a candidate within two round trips, and engines repeat what was lost after half a second. */
const PATIENCE_MS = 2_000;

/** Where candidates go. */
export interface Outlets {
  relay(candidate: string): void;
  other(candidate: string): void;
  /** TURN servers were asked and gave no candidate in time. */
  unserved(): void;
}

/**
 * Local candidates of a connection that asks a TURN server. While one gives a candidate, that is the only one told: the
 * route is there for what only a relay connects. Where none does, because the server is down or refuses us, the others
 * are told, so that the peer's relay can reach us, if it has one. A relay's candidate that comes later is told, too.
 */
export class RelayFirst {
  readonly #outlets: Outlets;
  #reserve: string[] | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(outlets: Outlets) {
    this.#outlets = outlets;
  }

  /** A TURN server is asked: before the first `add`. Without it every candidate is told. */
  begin(): void {
    this.#reserve = [];
    this.#timer = setTimeout(() => this.gathered(), PATIENCE_MS);
  }

  add(candidate: string, type: CandidateType): void {
    if (type === 'relay') {
      this.stop();
      this.#outlets.relay(candidate);
    } else if (this.#reserve === undefined) this.#outlets.other(candidate);
    else this.#reserve.push(candidate);
  }

  /** No more candidates come, or it has taken long enough. */
  gathered(): void {
    if (this.#timer === undefined) return;
    this.stop();
    const reserve = this.#reserve ?? [];
    this.#reserve = undefined;
    for (const candidate of reserve) this.#outlets.other(candidate);
    this.#outlets.unserved();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

/** A path with an MTU, in virtual time, and the search for it. */
import assert from 'node:assert/strict';
import {
  confirmed,
  newPathMtu,
  nextDeadline,
  type PathMtu,
  type PathMtuEffect,
  type PathMtuEvent,
  step,
} from '../dataplane/core/path-mtu.ts';
import { EventQueue } from './event-queue.ts';
import { mulberry32 } from './mulberry.ts';

/** Times in milliseconds, probabilities for each way. */
export interface PathOptions {
  readonly limit: number;
  /** Bytes of the longest packet that passes; 0 where none does. */
  readonly mtu: (now: number) => number;
  readonly rtt?: number;
  /** Added to each round trip, at random from 0 to this: probes overtake each other. */
  readonly jitter?: number;
  readonly loss?: number;
  readonly seed?: number;
  /** Whether the search is told the round-trip time. */
  readonly measured?: boolean;
  /** The kernel takes nothing longer. */
  readonly takes?: number;
}

/** A path in virtual time and the search for its MTU. Whatever happens is checked while it happens. */
export class SimulatedPath {
  readonly state: PathMtu;
  now = 0;
  /** Every probe: when, and how long. */
  readonly probes: { readonly at: number; readonly bytes: number }[] = [];
  /** Each confirmed size, from when on. */
  readonly claims: { readonly at: number; readonly bytes: number }[] = [{ at: 0, bytes: 1280 }];
  /** When searches ended. */
  readonly settledAt: number[] = [];
  readonly #options: Required<PathOptions>;
  readonly #queue = new EventQueue();
  readonly #random: () => number;

  constructor(options: PathOptions) {
    const rtt = options.rtt ?? 20;
    this.#options = { rtt, jitter: 0, loss: 0, seed: 1, measured: true, takes: 65_535, ...options };
    this.#random = mulberry32(this.#options.seed);
    this.state = newPathMtu({ limit: options.limit, rtt: this.#options.measured ? rtt : null }, 0);
  }

  get mtu(): number {
    return this.#options.mtu(this.now);
  }

  get converged(): boolean {
    const found = confirmed(this.state);
    const most = Math.min(this.mtu, this.#options.limit, this.#options.takes);
    return found <= most && found > most - 8;
  }

  feed(event: PathMtuEvent): void {
    for (const effect of step(this.state, event, this.now)) this.#run(effect);
  }

  /** Until `end`, or until `done`. */
  run(end: number, done: () => boolean = () => false): boolean {
    while (!done()) {
      const deadline = nextDeadline(this.state).at;
      const next = Math.min(deadline, this.#queue.next);
      if (next > end) {
        this.now = end;
        return done();
      }
      this.now = Math.max(this.now, next);
      if (this.#queue.next === next) {
        this.#queue.take()!();
      } else {
        this.feed({ type: 'tick' });
        assert.ok(nextDeadline(this.state).at > this.now, 'time stands still');
      }
    }
    return true;
  }

  #run(effect: PathMtuEffect): void {
    const { mtu, rtt, jitter, limit, takes } = this.#options;
    if (effect.type === 'confirmed') {
      this.claims.push({ at: this.now, bytes: effect.bytes });
      assert.equal(effect.bytes, confirmed(this.state));
      return;
    }
    if (effect.type === 'settled') {
      this.settledAt.push(this.now);
      assert.equal(this.state.phase.name, 'settled');
      return;
    }
    const { number, bytes } = effect;
    assert.ok(bytes >= 1280 && bytes <= Math.max(1280, limit), `a probe of ${bytes} bytes`);
    this.probes.push({ at: this.now, bytes });
    if (bytes > takes) {
      this.#queue.add(this.now, () => this.feed({ type: 'refused', number }));
      return;
    }
    const delay = rtt + jitter * this.#chance();
    if (bytes > mtu(this.now + delay / 2) || this.#isLost() || this.#isLost()) return;
    this.#queue.add(this.now + delay, () => this.feed({ type: 'answered', number }));
  }

  #isLost(): boolean {
    return this.#chance() < this.#options.loss;
  }

  #chance(): number {
    return this.#random() / 2 ** 32;
  }
}

/** Milliseconds that a claim was in force while less passed, the longest, until `end`. */
export function longestLie(
  path: SimulatedPath,
  mtu: (now: number) => number,
  changes: readonly number[],
  end: number,
) {
  const moments = [...new Set([...changes, ...path.claims.map(({ at }) => at), end])].sort((a, b) => a - b);
  let longest = 0;
  let since: number | undefined;
  for (const at of moments) {
    if (at > end) break;
    if (since !== undefined) longest = Math.max(longest, at - since);
    const claim = path.claims.findLast((each) => each.at <= at)!;
    if (claim.bytes <= mtu(at)) since = undefined;
    else since ??= at;
  }
  return longest;
}

/**
 * The path MTU of a direct path, found by padded probes as in RFC 8899 (PLPMTUD): no ICMP is needed or believed. A
 * reducer; the shell sends the probes, unfragmented, and tells which were answered. All sizes are bytes of the whole
 * IP packet.
 *
 * Probes go in rounds. A round has the base, the confirmed size and, while there is something to find, sizes above:
 *
 *     base        confirmed          sizes of this round        suspect           limit
 *   ───┼──────────────┼──────────────────┼─────┼─────┼─────────────┼────────────────┼───
 *      passes         passes             unknown                   was lost
 *
 * The greatest size that is answered is the new confirmed one; the smallest that is not is the new suspect, and the
 * next round asks for sizes between them: first common ones, then parts of the gap. The suspect is asked for again in
 * each round, since it may have been lost by chance, until it was lost three times. A round of which nothing was
 * answered says nothing about sizes. What the kernel refuses is known at once, so that a round whose sizes are all
 * refused goes on with the next ones.
 *
 *                  gap of 8 or less, suspect lost three times
 *     searching ────────────────────────────────────────────► settled: a round without sizes above, now and then
 *         ▲                                                      │
 *         ├──── raise: 10 s later, 1 min later, then each 10 min ┤
 *         └──── the confirmed size lost three times, smaller ones not: back to the base ◄─ in both states
 */
import { measure, patience, type RoundTrips } from './liveness.ts';

/** The smallest MTU of IPv6 (RFC 8200 section 5). It is taken to pass. */
const base = 1280;
/** The longest IPv4 packet. */
const longest = 65_535;
/** What a search may leave between the size that it confirms and one that does not pass. */
const granularity = 8;
/** What all but narrow paths take. A probe of this size, number 0, goes with those by which a path is tried. */
export const usualSize = 1400;
/** Sizes that are asked for while nothing was lost yet, since most paths are Ethernet's all the way: the usual one,
 *  Ethernet, and jumbo frames. */
const firstSizes = [usualSize, 1500, 9000];
/** Ethernet and what encapsulations leave of it: PPPoE, 6in4 and IPIP, WireGuard over IPv4 and IPv6, cellular and
 *  cloud networks; and jumbo frames. */
const commonSizes = [1400, 1420, 1440, 1460, 1480, 1492, 1500, 8500, 8900, 9000];
/** Sizes that part a gap, at once. */
const parts = 6;
/** MAX_PROBES of RFC 8899 section 5.1.2. */
const maxLost = 3;

/** Milliseconds. */
const leastWait = 100;
const mostWait = 3000;
/** While the path is not measured: the first answer shortens it. Milliseconds. */
const firstWait = 1000;
/** Rounds of which nothing is answered take twice as long each, up to this. Milliseconds. */
const mostSilence = 8000;
/** Milliseconds from a proof that the confirmed size passes to the next. An idle path has less to lose. */
const validateInterval = { active: 2000, idle: 60_000 };
/** Milliseconds from a search that found nothing to the next. The first ones make good a search that lost what would
 *  have passed; then PMTU_RAISE_TIMER of RFC 8899 section 5.1.1. */
const raiseIntervals = [10_000, 60_000, 600_000];
/** Probes of ended rounds whose late answers count. */
const remembered = 64;

interface Sent {
  readonly bytes: number;
  readonly sentAt: number;
}

interface Round {
  readonly sentAt: number;
  deadline: number;
  /** By number. What was answered is taken out. */
  readonly waiting: Map<number, Sent>;
  heard: boolean;
}

export interface PathMtu {
  limit: number;
  confirmed: number;
  /** When the probe was sent that last showed that the confirmed size passes. */
  confirmedAt: number;
  /** Times that the confirmed size was lost in a row while smaller ones were answered. */
  misses: number;
  /** Sizes above the confirmed one that were lost, and how often. */
  readonly lost: Map<number, number>;
  phase: { readonly name: 'searching' } | { readonly name: 'settled'; readonly raiseAt: number };
  /** There is always one while searching, but for the first. */
  round: Round | null;
  /** Probes of rounds before, the oldest first. */
  readonly past: Map<number, Sent>;
  /** Searches in a row that found nothing. */
  vain: number;
  /** Rounds in a row of which nothing was answered. */
  silent: number;
  active: boolean;
  /** The first round begins then. */
  readonly startedAt: number;
  readonly roundTrips: RoundTrips;
  number: number;
}

export type PathMtuEvent =
  | { readonly type: 'answered'; readonly number: number }
  /** The kernel did not take the probe: it is longer than its interface’s MTU. */
  | { readonly type: 'refused'; readonly number: number }
  /** Whether the path carries packets. */
  | { readonly type: 'active'; readonly active: boolean }
  /** Another path, or another MTU of the outgoing interface; also where a lost path is back. */
  | { readonly type: 'path'; readonly limit: number }
  | { readonly type: 'tick' };

export type PathMtuEffect =
  /** `bytes` of the IP packet. */
  | { readonly type: 'probe'; readonly number: number; readonly bytes: number }
  | { readonly type: 'confirmed'; readonly bytes: number }
  /** The search has ended, with what was confirmed last. */
  | { readonly type: 'settled' };

export interface PathMtuOptions {
  /** MTU of the outgoing interface. */
  readonly limit: number;
  /** Smoothed round-trip time of the path in milliseconds, where it is known. */
  readonly rtt: number | null;
}

export function newPathMtu(options: PathMtuOptions, now: number): PathMtu {
  const roundTrips: RoundTrips = { smoothed: null, variation: 0 };
  if (options.rtt !== null) measure(roundTrips, options.rtt);
  return {
    limit: clampLimit(options.limit),
    confirmed: base,
    confirmedAt: now,
    misses: 0,
    lost: new Map(),
    phase: { name: 'searching' },
    round: null,
    past: new Map([[0, { bytes: usualSize, sentAt: now - (options.rtt ?? 0) }]]),
    vain: 0,
    silent: 0,
    active: true,
    startedAt: now,
    roundTrips,
    number: 0,
  };
}

/** The greatest size known to pass. */
export function confirmed(state: PathMtu): number {
  return state.confirmed;
}

export function nextDeadline(state: PathMtu): { at: number; reason: string } {
  const { round, phase } = state;
  if (round !== null) return { at: round.deadline, reason: 'probes are lost' };
  if (phase.name === 'searching') return { at: state.startedAt, reason: 'first probes' };
  const validateAt = validationOf(state);
  return phase.raiseAt < validateAt
    ? { at: phase.raiseAt, reason: 'raise' }
    : { at: validateAt, reason: 'validate' };
}

/** Changes `state` in place. */
export function step(state: PathMtu, event: PathMtuEvent, now: number): PathMtuEffect[] {
  const effects: PathMtuEffect[] = [];
  switch (event.type) {
    case 'answered':
      answered(state, event.number, now, effects);
      break;
    case 'refused':
      refused(state, event.number, now, effects);
      break;
    case 'active':
      state.active = event.active;
      break;
    case 'path':
      restart(state, event.limit, now, effects);
      break;
    case 'tick':
      tick(state, now, effects);
  }
  return effects;
}

function tick(state: PathMtu, now: number, effects: PathMtuEffect[]): void {
  if (now < nextDeadline(state).at) return;
  if (state.round !== null) endRound(state, state.round, effects);
  nextRound(state, now, effects);
}

function answered(state: PathMtu, number: number, now: number, effects: PathMtuEffect[]): void {
  const { round } = state;
  const sent = round?.waiting.get(number) ?? state.past.get(number);
  if (sent === undefined) return;
  measure(state.roundTrips, now - sent.sentAt);
  state.silent = 0;
  state.past.delete(number);
  if (round?.waiting.delete(number)) round.heard = true;
  if (sent.bytes >= state.confirmed) passes(state, sent, effects);
  if (round !== null) {
    round.deadline = Math.max(now, Math.min(round.deadline, round.sentAt + waitOf(state)));
    if ([...round.waiting.values()].some(({ bytes }) => bytes >= state.confirmed)) return;
    endRound(state, round, effects);
  } else if (state.phase.name === 'settled') return;
  nextRound(state, now, effects);
}

/** As good as lost three times. The round goes on: the base at least is still under way, or was answered. */
function refused(state: PathMtu, number: number, now: number, effects: PathMtuEffect[]): void {
  const { round } = state;
  const sent = round?.waiting.get(number);
  if (round == null || sent === undefined || sent.bytes === base) return;
  round.waiting.delete(number);
  if (sent.bytes <= state.confirmed) {
    if (sent.bytes === state.confirmed) fall(state, maxLost, effects);
    return;
  }
  state.lost.set(sent.bytes, maxLost);
  const waits = [...round.waiting.values()].some(({ bytes }) => bytes > state.confirmed);
  if (state.phase.name === 'searching' && !waits) ask(state, round, sizesToFind(state), now, effects);
}

function restart(state: PathMtu, limit: number, now: number, effects: PathMtuEffect[]): void {
  state.limit = clampLimit(limit);
  state.lost.clear();
  state.past.clear();
  state.misses = 0;
  state.silent = 0;
  state.vain = 0;
  state.phase = { name: 'searching' };
  state.confirmedAt = Number.NEGATIVE_INFINITY;
  if (state.confirmed > state.limit) confirm(state, state.limit, effects);
  nextRound(state, now, effects);
}

function passes(state: PathMtu, { bytes, sentAt }: Sent, effects: PathMtuEffect[]): void {
  state.misses = 0;
  if (bytes === state.confirmed) {
    state.confirmedAt = Math.max(state.confirmedAt, sentAt);
    return;
  }
  state.confirmedAt = sentAt;
  state.vain = 0;
  state.phase = { name: 'searching' };
  for (const size of state.lost.keys()) if (size <= bytes) state.lost.delete(size);
  confirm(state, bytes, effects);
}

/** Counts what is lost for certain: not where the whole path was silent. */
function endRound(state: PathMtu, round: Round, effects: PathMtuEffect[]): void {
  state.round = null;
  for (const [number, sent] of round.waiting) state.past.set(number, sent);
  for (const number of state.past.keys()) {
    if (state.past.size <= remembered) break;
    state.past.delete(number);
  }
  if (!round.heard) {
    state.silent += 1;
    return;
  }
  const sizes = [...round.waiting.values()].map(({ bytes }) => bytes);
  for (const size of sizes) {
    if (size > state.confirmed) state.lost.set(size, (state.lost.get(size) ?? 0) + 1);
  }
  if (sizes.includes(state.confirmed) && ++state.misses >= maxLost) fall(state, 1, effects);
}

/** Back to the base. `times` that the size which was confirmed counts as lost: by chance, perhaps, or for certain. */
function fall(state: PathMtu, times: number, effects: PathMtuEffect[]): void {
  state.lost.clear();
  state.lost.set(state.confirmed, times);
  state.misses = 0;
  state.vain = 0;
  state.phase = { name: 'searching' };
  confirm(state, base, effects);
}

function nextRound(state: PathMtu, now: number, effects: PathMtuEffect[]): void {
  if (state.phase.name === 'settled' && state.silent === 0 && now >= state.phase.raiseAt) {
    state.lost.clear();
    state.phase = { name: 'searching' };
  }
  const above = state.phase.name === 'searching' ? sizesToFind(state) : [];
  if (state.phase.name === 'searching' && above.length === 0) {
    const interval = raiseIntervals[Math.min(state.vain, raiseIntervals.length - 1)]!;
    state.vain += 1;
    state.phase = { name: 'settled', raiseAt: now + interval };
    effects.push({ type: 'settled' });
  }
  const waits = state.silent === 0 && state.misses === 0 && now < validationOf(state);
  if (above.length === 0 && waits) return;
  const round: Round = { sentAt: now, deadline: now + waitOf(state), waiting: new Map(), heard: false };
  ask(state, round, [...new Set([base, state.confirmed, ...above])], now, effects);
  state.round = round;
}

function ask(
  state: PathMtu,
  round: Round,
  sizes: readonly number[],
  now: number,
  effects: PathMtuEffect[],
): void {
  for (const bytes of sizes) {
    state.number += 1;
    round.waiting.set(state.number, { bytes, sentAt: now });
    effects.push({ type: 'probe', number: state.number, bytes });
  }
}

/** Milliseconds until what is not answered is lost. */
function waitOf({ roundTrips, silent }: PathMtu): number {
  const wait = roundTrips.smoothed === null ? firstWait : patience(roundTrips, leastWait, mostWait);
  return Math.min(mostSilence, wait * 2 ** Math.min(silent, 8));
}

function validationOf({ confirmedAt, active }: PathMtu): number {
  return confirmedAt + validateInterval[active ? 'active' : 'idle'];
}

/** None where the search is done. */
function sizesToFind({ confirmed, limit, lost }: PathMtu): number[] {
  const suspect = Math.min(limit + 1, ...lost.keys());
  const again = suspect <= limit && lost.get(suspect)! < maxLost ? [suspect] : [];
  const sizes = lost.size === 0 ? firstSizes : commonSizes;
  const untried = new Set([...sizes, limit].filter((size) => size > confirmed && size < suspect));
  if (untried.size > 0) return [...again, ...untried];
  const gap = suspect - confirmed;
  const count = Math.min(parts, Math.ceil(gap / granularity) - 1);
  const between = Array.from(
    { length: count },
    (_, i) => confirmed + Math.round((gap * (i + 1)) / (count + 1)),
  );
  return [...again, ...between];
}

function confirm(state: PathMtu, bytes: number, effects: PathMtuEffect[]): void {
  state.confirmed = bytes;
  effects.push({ type: 'confirmed', bytes });
}

function clampLimit(limit: number): number {
  return Math.min(longest, Math.max(base, limit));
}

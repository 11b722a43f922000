/**
 * Whether a direct path carries packets: when to probe it, and when it is lost. A reducer; the shell sends the probes
 * and tells of their answers.
 *
 *   trying ──an answer──► alive ──three probes unanswered, nothing heard meanwhile──► lost
 *                           ▲                                                          │
 *                           └────────────── three answers in a row ────────────────────┘
 *
 * A path is active where a packet was sent or received since the last probe. What counts as heard is an answer or a
 * packet, which the peer sends only while it trusts the path itself; its probes do not count, nor do they make a path
 * active. Otherwise one that is dead in one direction would look alive to the side that cannot be heard, and two ends
 * of an idle path would keep each other awake.
 */

/** Milliseconds between looks at the counters, so that packets which begin to flow over an idle path have their first
 *  probe soon. Also the least wait for an answer: a dead path is lost after three `activeInterval` and that, within
 *  3 s; later only where round trips take more than 150 ms. */
const lookInterval = 400;
/** Milliseconds between probes of an active path, and of one whose last probe is not answered. */
const activeInterval = 800;
/** Milliseconds. The shortest lifetime of a NAT mapping that is seen in practice is 30 s (RFC 4787 section 4.3). */
const idleInterval = 25_000;
/** Milliseconds between probes of a path that does not carry packets. */
const lostInterval = 1000;

/** Milliseconds to wait for an answer at most. */
const mostWait = 3000;

const missesUntilLost = 3;
const answersUntilAlive = 3;
/** Probes that loss, minimum and jitter are told of. */
const remembered = 100;

interface Probe {
  readonly number: number;
  readonly sentAt: number;
  /** Milliseconds; 'waiting' until `patience` is over, then 'missed'. An answer counts however late. */
  answer: number | 'waiting' | 'missed';
}

/** RFC 6298 section 2. Milliseconds; null before the first measurement. */
export interface RoundTrips {
  smoothed: number | null;
  /** Mean deviation. */
  variation: number;
}

export interface Liveness {
  phase:
    | { readonly name: 'trying' }
    | { readonly name: 'alive' }
    /** Probes up to and with `before` were sent when the path was lost, or unanswered since. */
    | { readonly name: 'lost'; before: number; answers: number };
  readonly roundTrips: RoundTrips;
  /** The last ones, oldest first; numbers without a gap. */
  readonly probes: Probe[];
  /** Packets sent and received when the last probe was sent, and at the last look. */
  atProbe: Packets;
  atLook: Packets;
  lookAt: number;
  probeAt: number;
  heardAt: number;
  /** The peer may be gone, and there is no answer since: the path is probed like an active one. */
  doubted: boolean;
}

/** Counted since the path began; no probes or answers in them. */
export interface Packets {
  readonly sent: number;
  readonly received: number;
}

export type LivenessEvent =
  /** `rtt` in milliseconds, as measured where the answer came in. */
  | { readonly type: 'answered'; readonly number: number; readonly rtt: number }
  /** The peer has answered at another address. */
  | { readonly type: 'found' }
  /** The peer says so. */
  | { readonly type: 'unheard' }
  /** Something else that led to the peer has ended. */
  | { readonly type: 'doubted' }
  /** Answers that came in meanwhile are told first. */
  | ({ readonly type: 'tick' } & Packets);

export type LivenessEffect =
  | { readonly type: 'probe'; readonly number: number }
  | { readonly type: 'lost' }
  | { readonly type: 'alive' };

/** Of the last hundred probes; null before there is anything to tell. Milliseconds. */
export interface PathQuality {
  readonly rtt: number | null;
  readonly minimum: number | null;
  readonly lossPercent: number | null;
  /** Probes that the loss is of. */
  readonly ended: number;
}

export function newLiveness(now: number): Liveness {
  return {
    phase: { name: 'trying' },
    roundTrips: { smoothed: null, variation: 0 },
    probes: [],
    atProbe: { sent: 0, received: 0 },
    atLook: { sent: 0, received: 0 },
    lookAt: now,
    probeAt: now,
    heardAt: now,
    doubted: false,
  };
}

export function nextDeadline(state: Liveness): { at: number; reason: string } {
  return state.probeAt <= state.lookAt
    ? { at: state.probeAt, reason: 'probe' }
    : { at: state.lookAt, reason: 'look at the counters' };
}

/** Changes `state` in place. */
export function step(state: Liveness, event: LivenessEvent, now: number): LivenessEffect[] {
  const effects: LivenessEffect[] = [];
  if (event.type === 'answered') answered(state, event, now, effects);
  else if (event.type === 'found') state.heardAt = now;
  else if (event.type === 'unheard') lose(state, effects);
  else if (event.type === 'doubted') state.doubted = true;
  else tick(state, event, now, effects);
  return effects;
}

/** Whether of the probes whose time is over the latest was not answered. */
export function isMissing({ probes }: Liveness): boolean {
  return probes.findLast(({ answer }) => answer !== 'waiting')?.answer === 'missed';
}

export function quality(state: Liveness): PathQuality {
  const answers = state.probes.flatMap(({ answer }) => (typeof answer === 'number' ? [answer] : []));
  const missed = state.probes.filter(({ answer }) => answer === 'missed').length;
  const ended = answers.length + missed;
  return {
    rtt: state.roundTrips.smoothed,
    minimum: answers.length === 0 ? null : Math.min(...answers),
    lossPercent: ended === 0 ? null : (100 * missed) / ended,
    ended,
  };
}

export function measure(trips: RoundTrips, rtt: number): void {
  if (trips.smoothed === null) {
    trips.smoothed = rtt;
    trips.variation = rtt / 2;
  } else {
    trips.variation += (Math.abs(trips.smoothed - rtt) - trips.variation) / 4;
    trips.smoothed += (rtt - trips.smoothed) / 8;
  }
}

/** Milliseconds after which an answer is not to be expected any more, within these bounds; `most` before the first
 *  measurement. RFC 6298 section 2. */
export function patience({ smoothed, variation }: RoundTrips, least: number, most: number): number {
  return smoothed === null ? most : Math.min(most, Math.max(least, smoothed + 4 * variation));
}

function answered(
  state: Liveness,
  { number, rtt }: LivenessEvent & { type: 'answered' },
  now: number,
  effects: LivenessEffect[],
): void {
  const probe = state.probes.find((each) => each.number === number);
  if (probe === undefined || typeof probe.answer === 'number') return;
  probe.answer = rtt;
  measure(state.roundTrips, rtt);
  state.heardAt = now;
  if (probe === state.probes.at(-1)) state.doubted = false;
  const { phase } = state;
  if (phase.name === 'lost') {
    if (number <= phase.before || ++phase.answers < answersUntilAlive) return;
  } else if (phase.name === 'alive') return;
  state.phase = { name: 'alive' };
  effects.push({ type: 'alive' });
}

function tick(
  state: Liveness,
  { sent, received }: LivenessEvent & { type: 'tick' },
  now: number,
  effects: LivenessEffect[],
): void {
  if (received !== state.atLook.received) state.heardAt = now;
  state.atLook = { sent, received };
  giveUp(state, now, effects);

  const last = state.probes.at(-1);
  if (last === undefined || now >= last.sentAt + intervalNow(state)) {
    const number = (last?.number ?? 0) + 1;
    state.probes.push({ number, sentAt: now, answer: 'waiting' });
    if (state.probes.length > remembered) state.probes.shift();
    state.atProbe = state.atLook;
    effects.push({ type: 'probe', number });
  }
  state.probeAt = state.probes.at(-1)!.sentAt + intervalNow(state);
  const waiting = state.probes.filter(({ answer }) => answer === 'waiting');
  state.lookAt = Math.min(now + lookInterval, ...waiting.map(({ sentAt }) => sentAt + waitOf(state)));
}

/** What `patience` has run out for; the path is lost where it was too much. */
function giveUp(state: Liveness, now: number, effects: LivenessEffect[]): void {
  const { probes, phase } = state;
  const wait = waitOf(state);
  for (const probe of probes) {
    if (probe.answer !== 'waiting' || now < probe.sentAt + wait) continue;
    probe.answer = 'missed';
    if (phase.name === 'lost' && probe.number > phase.before)
      state.phase = { name: 'lost', before: probe.number, answers: 0 };
  }
  const misses = probes.filter(({ answer, sentAt }) => answer === 'missed' && sentAt >= state.heardAt);
  if (misses.length >= missesUntilLost) lose(state, effects);
}

function lose(state: Liveness, effects: LivenessEffect[]): void {
  if (state.phase.name !== 'alive') return;
  state.phase = { name: 'lost', before: state.probes.at(-1)?.number ?? 0, answers: 0 };
  effects.push({ type: 'lost' });
}

/** Milliseconds. */
function waitOf({ roundTrips }: Liveness): number {
  return patience(roundTrips, lookInterval, mostWait);
}

function intervalNow({ phase, atProbe, atLook, probes, doubted }: Liveness): number {
  if (phase.name !== 'alive') return lostInterval;
  const active = atLook.sent !== atProbe.sent || atLook.received !== atProbe.received;
  return active || doubted || probes.at(-1)?.answer === 'missed' ? activeInterval : idleInterval;
}

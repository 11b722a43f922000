/**
 * The direct path of one link: a reducer over `DirectEvent`, whose effects the shell runs. Keys come
 * with the descriptions of a connection, are renewed over its `wire`, and outlive it (`protocol/keys.ts`).
 *
 *        keys agreed on          a probe answered               probes unanswered
 *   off ───────────────► trying ────────────────► up ────────────────────────────► trying ──three answers──► up
 *
 *   next      installed, not proven: the peer may not have it yet
 *   using     what our packets are sealed with, while the path is up
 *   previous  still opened, for what is under way
 */
import { type Bucket, newBucket, take } from '../../protocol/bucket.ts';
import { due, type Elsewhere, nextDeadline as elsewhereDeadline, type Place, tell } from './elsewhere.ts';
import {
  isMissing,
  type Liveness,
  nextDeadline as livenessDeadline,
  measure,
  newLiveness,
  step as stepLiveness,
} from './liveness.ts';
import {
  confirmed,
  nextDeadline as mtuDeadline,
  newPathMtu,
  type PathMtu,
  step as stepPathMtu,
} from './path-mtu.ts';
import {
  newSegmentation,
  type Segmentation,
  nextDeadline as segmentationDeadline,
  step as stepSegmentation,
} from './segmentation.ts';

/** Milliseconds that keys serve (WireGuard's REKEY_AFTER_TIME). */
const renewAfter = 120_000;

/** Milliseconds between two tries of a renewal that is not answered (twice WireGuard's REKEY_TIMEOUT: a peer answers one in
 *  10 s). */
const retryAfter = 10_000;

/** Milliseconds after which nothing is sealed with keys any more, and nothing opened (WireGuard's REJECT_AFTER_TIME, and
 *  three times that). */
const sealFor = 180_000;
const openFor = 540_000;

/** Milliseconds that a path counts as in use after a packet: TCP in a black hole is silent for as long. */
const activeFor = 4000;

/** Records after which keys are renewed however young they are. */
const renewAfterRecords = 2 ** 40;

/** Milliseconds between probes by which a session is proven; after so many of them twice as long each, to once in
 *  longer than a NAT mapping lives: behind a firewall that drops records they would never end. */
const proveInterval = 400;
const proveEagerly = 8;
const proveDoublings = 6;

/** Probes of the path MTU have this bit in their number, and one that proves a session has none at all. */
const mtuProbe = 0x8000_0000;

/** Searches for the MTU that a peer begins by sending from another address: that many at once, and one in 30 s. */
const newSearches = () => newBucket(3, 1 / 30);

const tooOld = 'the keys are too old, and the peer renews none';

const unanswered = 'the peer does not answer probes';

/** The kernel tells by refusing what its interface does not take. */
const longestPacket = 65_535;

interface Session {
  /** Our receiver index. */
  readonly index: number;
  readonly generation: number;
  /** When its keys were agreed on, and the records sent and received before it was in use. */
  since: { readonly at: number; readonly records: number };
}

/** What is being agreed on, or was last, by one negotiation. */
interface Agreement {
  readonly negotiation: string;
  /** We made its offer: we begin a renewal. */
  readonly offered: boolean;
  generation: number;
  installed: boolean;
  /** When we asked last for the generation that is next; null while there is no need. */
  askedAt: number | null;
}

export interface Direct {
  phase: 'off' | 'trying' | 'up';
  reason: string;
  agreement: Agreement | null;
  next: Session | null;
  using: Session | null;
  previous: Session | null;
  liveness: Liveness;
  mtu: PathMtu | null;
  segmentation: Segmentation;
  /** While the peer does not answer. */
  elsewhere: Elsewhere;
  records: number;
  /** Both ways, at the last tick. */
  packets: number;
  /** When they were more than before. */
  packetAt: number;
  proveAt: number;
  readonly searches: Bucket;
  /** Records go to an address for which the MTU is not searched yet. */
  isBehind: boolean;
  /** Probes sent to prove `next`. */
  proofs: number;
}

/** As counted by the engine since the device was opened. */
interface Traffic {
  readonly sent: number;
  readonly received: number;
  /** Both ways, probes included. */
  readonly records: number;
  /** Of these, sent, and how many of them together with others. */
  readonly sealed: number;
  readonly segmented: number;
}

export type DirectEvent =
  /** A connection of both ends' shared ports is open: its first keys are installed next. */
  | { readonly type: 'begin'; readonly negotiation: string; readonly offered: boolean }
  /** Records to `index` are opened from now on. */
  | {
      readonly type: 'installed';
      readonly negotiation: string;
      readonly generation: number;
      readonly index: number;
    }
  | { readonly type: 'ended'; readonly negotiation: string }
  | { readonly type: 'heard'; readonly index: number }
  | {
      readonly type: 'answered';
      readonly index: number;
      readonly number: number;
      readonly rtt: number;
      /** Records of this link that the peer had opened; null where it does not count. */
      readonly opened: number | null;
    }
  /** The kernel did not take that probe. */
  | { readonly type: 'refused'; readonly number: number }
  | { readonly type: 'roamed' }
  /** The peer may be there as well. */
  | ({ readonly type: 'elsewhere' } & Place)
  /** The peer says that it has no answers. */
  | { readonly type: 'unheard' }
  | ({ readonly type: 'tick' } & Traffic);

export type DirectEffect =
  /** Ask the peer for keys of this generation. */
  | { readonly type: 'renew'; readonly negotiation: string; readonly generation: number }
  /** `bytes` of the IP packet; 0: as few as it can be. */
  | { readonly type: 'probe'; readonly index: number; readonly number: number; readonly bytes: number }
  /** Ask the peer there. */
  | { readonly type: 'ask'; readonly index: number; readonly place: Place }
  | { readonly type: 'use'; readonly index: number | null }
  | { readonly type: 'remove'; readonly index: number }
  /** Bytes of the longest IP packet that passes; where its search goes on, a longer one may. */
  | { readonly type: 'fit'; readonly bytes: number; readonly searching: boolean }
  /** The peer may still hear us, and then sends into a path that is dead one way. */
  | { readonly type: 'tell-peer' }
  /** Whether records leave together from now on. */
  | { readonly type: 'segment'; readonly on: boolean }
  /** Whether it is known that records which leave together vanish. */
  | { readonly type: 'vanish'; readonly known: boolean }
  /** The path went up or down. */
  | { readonly type: 'tell' };

export function newDirect(now: number): Direct {
  return {
    phase: 'off',
    reason: '',
    agreement: null,
    next: null,
    using: null,
    previous: null,
    liveness: newLiveness(now),
    mtu: null,
    segmentation: newSegmentation(),
    elsewhere: [],
    records: 0,
    packets: 0,
    packetAt: Number.NEGATIVE_INFINITY,
    proveAt: now,
    searches: newSearches(),
    isBehind: false,
    proofs: 0,
  };
}

/** Bytes of the longest IP packet known to pass; null before the path was up. */
export function fittingPacket(direct: Direct): number | null {
  return direct.mtu === null ? null : confirmed(direct.mtu);
}

/** When to `step` with a `tick` next; undefined where nothing is to be done. */
export function nextDeadline(direct: Direct): number | undefined {
  const { using, next, phase, mtu } = direct;
  const times: number[] = [];
  const { agreement, previous } = direct;
  if (using !== null) times.push(using.since.at + sealFor);
  if (previous !== null) times.push(previous.since.at + openFor);
  const askedAt = agreement?.askedAt ?? null;
  if (askedAt !== null) times.push(askedAt + retryAfter);
  if (next !== null) times.push(direct.proveAt);
  if (using !== null) times.push(livenessDeadline(direct.liveness).at);
  if (phase === 'up' && mtu !== null) times.push(mtuDeadline(mtu).at);
  const askAt = elsewhereDeadline(direct.elsewhere);
  if (using !== null && askAt !== undefined && isMissing(direct.liveness)) times.push(askAt);
  const segmentAt = segmentationDeadline(direct.segmentation);
  if (phase === 'up' && segmentAt !== undefined) times.push(segmentAt);
  return times.length === 0 ? undefined : Math.min(...times);
}

/** Changes `direct` in place. */
export function step(direct: Direct, event: DirectEvent, now: number): DirectEffect[] {
  const effects: DirectEffect[] = [];
  switch (event.type) {
    case 'begin': {
      const { negotiation, offered } = event;
      direct.agreement = { negotiation, offered, generation: 0, installed: false, askedAt: null };
      break;
    }
    case 'installed':
      install(direct, event, now, effects);
      break;
    case 'ended':
      if (direct.agreement?.negotiation === event.negotiation) direct.agreement = null;
      break;
    case 'heard':
      // The peer has these keys. Whether it hears us as well is another matter: `phase`.
      if (direct.next?.index === event.index) promote(direct, effects);
      break;
    case 'answered':
      answered(direct, event, now, effects);
      break;
    case 'refused':
      if (event.number >= mtuProbe)
        takeMtu(direct, { type: 'refused', number: event.number - mtuProbe }, now, effects);
      break;
    case 'roamed':
      roam(direct, now, effects);
      break;
    case 'elsewhere':
      tell(direct.elsewhere, event, now);
      ask(direct, now, effects);
      break;
    case 'unheard':
      takeLiveness(direct, { type: 'unheard' }, now, effects);
      break;
    case 'tick':
      tick(direct, event, now, effects);
  }
  return effects;
}

function install(
  direct: Direct,
  { negotiation, generation, index }: DirectEvent & { type: 'installed' },
  now: number,
  effects: DirectEffect[],
): void {
  const { agreement } = direct;
  if (agreement?.negotiation === negotiation) {
    agreement.generation = generation;
    agreement.installed = true;
    agreement.askedAt = null;
  }
  if (direct.next !== null) effects.push({ type: 'remove', index: direct.next.index });
  direct.next = { index, generation, since: { at: now, records: direct.records } };
  direct.proofs = 0;
  if (direct.phase === 'off') {
    direct.phase = 'trying';
    direct.liveness = newLiveness(now);
  }
  // Another connection, and maybe another way.
  if (generation === 0) follow(direct, now, effects);
  // The answer to a renewal tells that the peer opens what is sealed with it.
  if (generation > 0 && agreement?.offered === true) promote(direct, effects);
  prove(direct, index, now, effects);
}

/** A path that answers is good as it is, whatever the peer says. */
function ask(direct: Direct, now: number, effects: DirectEffect[]): void {
  const { using, elsewhere, liveness } = direct;
  if (using === null || !isMissing(liveness)) return;
  for (const { address, port } of due(elsewhere, now))
    effects.push({ type: 'ask', index: using.index, place: { address, port } });
}

/** Records go to another address: the packet that fits it is another one, if only for its longer or shorter header. */
function follow(direct: Direct, now: number, effects: DirectEffect[]): void {
  effects.push(...stepSegmentation(direct.segmentation, { type: 'path' }, now));
  if (direct.mtu === null) return;
  effects.push({ type: 'fit', bytes: confirmed(direct.mtu), searching: true });
  takeMtu(direct, { type: 'path', limit: longestPacket }, now, effects);
}

/** A peer may do so all the time. */
function roam(direct: Direct, now: number, effects: DirectEffect[]): void {
  direct.elsewhere = [];
  takeLiveness(direct, { type: 'found' }, now, effects);
  direct.isBehind = !take(direct.searches, 1, now);
  if (!direct.isBehind) follow(direct, now, effects);
  else if (direct.mtu !== null) effects.push({ type: 'fit', bytes: confirmed(direct.mtu), searching: false });
}

/** Also how the peer hears of keys that it offered. */
function prove(direct: Direct, index: number, now: number, effects: DirectEffect[]): void {
  direct.proofs++;
  const doublings = Math.min(Math.max(direct.proofs - proveEagerly, 0), proveDoublings);
  direct.proveAt = now + proveInterval * 2 ** doublings;
  if (doublings > 0 && direct.phase === 'trying') direct.reason = unanswered;
  effects.push({ type: 'probe', index, number: 0, bytes: 0 });
}

function promote(direct: Direct, effects: DirectEffect[]): void {
  const { next } = direct;
  if (next === null) return;
  if (direct.previous !== null) effects.push({ type: 'remove', index: direct.previous.index });
  direct.previous = direct.using;
  next.since = { at: next.since.at, records: direct.records };
  direct.using = next;
  direct.next = null;
  if (direct.phase === 'up') effects.push({ type: 'use', index: next.index });
}

function answered(
  direct: Direct,
  { index, number, rtt, opened }: DirectEvent & { type: 'answered' },
  now: number,
  effects: DirectEffect[],
): void {
  if (direct.next?.index === index) promote(direct, effects);
  if (direct.using?.index !== index && direct.previous?.index !== index) return;
  if (number >= mtuProbe) takeMtu(direct, { type: 'answered', number: number - mtuProbe }, now, effects);
  else if (number > 0) {
    const fullAt = direct.mtu?.confirmedAt ?? Number.NEGATIVE_INFINITY;
    takeLiveness(direct, { type: 'answered', number, rtt }, now, effects);
    effects.push(...stepSegmentation(direct.segmentation, { type: 'answered', number, opened, fullAt }, now));
  }
  // Nothing was known of this path: its first answer is as good as that to a probe of its liveness.
  else if (direct.liveness.phase.name === 'trying') {
    measure(direct.liveness.roundTrips, rtt);
    rise(direct, now, effects);
  }
}

function tick(
  direct: Direct,
  event: DirectEvent & { type: 'tick' },
  now: number,
  effects: DirectEffect[],
): void {
  direct.records = event.records;
  expire(direct, now, effects);
  renew(direct, now, effects);
  const { next, using } = direct;
  if (direct.isBehind) roam(direct, now, effects);
  if (next !== null && now >= direct.proveAt) prove(direct, next.index, now, effects);
  if (using === null) return;
  const { sealed, segmented } = event;
  const before = effects.length;
  takeLiveness(direct, { type: 'tick', sent: event.sent, received: event.received }, now, effects);
  for (const effect of effects.slice(before)) {
    if (effect.type !== 'probe' || effect.number === 0 || effect.number >= mtuProbe) continue;
    const asked = { type: 'asked', number: effect.number, sealed, segmented } as const;
    stepSegmentation(direct.segmentation, asked, now);
  }
  if (direct.phase === 'up') effects.push(...stepSegmentation(direct.segmentation, { type: 'tick' }, now));
  ask(direct, now, effects);
  const packets = event.sent + event.received;
  if (packets !== direct.packets) direct.packetAt = now;
  direct.packets = packets;
  takeMtu(direct, { type: 'active', active: now - direct.packetAt < activeFor }, now, effects);
  if (direct.phase === 'up') takeMtu(direct, { type: 'tick' }, now, effects);
}

/** We begin, where we made the offer; also where the keys never proved to be of use, or are too old by now. */
function renew(direct: Direct, now: number, effects: DirectEffect[]): void {
  const { agreement, next, using, previous } = direct;
  if (agreement?.offered !== true) return;
  const { negotiation, generation, askedAt } = agreement;
  const newest = next ?? using ?? previous;
  if (newest === null) {
    agreement.askedAt = null;
    return;
  }
  if (agreement.installed) {
    const { at, records } = newest.since;
    if (now - at < renewAfter && direct.records - records < renewAfterRecords) return;
  } else if (askedAt === null || now < askedAt + retryAfter) return;
  agreement.installed = false;
  agreement.askedAt = now;
  effects.push({ type: 'renew', negotiation, generation: generation + 1 });
}

function expire(direct: Direct, now: number, effects: DirectEffect[]): void {
  const { next, using, previous } = direct;
  if (previous !== null && now >= previous.since.at + openFor) {
    effects.push({ type: 'remove', index: previous.index });
    direct.previous = null;
  }
  if (next !== null && now >= next.since.at + sealFor) {
    effects.push({ type: 'remove', index: next.index });
    direct.next = null;
    direct.reason = tooOld;
  }
  if (using === null || now < using.since.at + sealFor) return;
  if (direct.phase === 'up') effects.push({ type: 'tell-peer' }, { type: 'use', index: null });
  if (direct.previous !== null) effects.push({ type: 'remove', index: direct.previous.index });
  direct.previous = using;
  direct.using = null;
  direct.liveness = newLiveness(now);
  const wasUp = direct.phase === 'up';
  direct.phase = 'trying';
  direct.reason = tooOld;
  if (wasUp) effects.push({ type: 'tell' });
}

function rise(direct: Direct, now: number, effects: DirectEffect[]): void {
  if (direct.phase === 'up' || direct.using === null) return;
  direct.phase = 'up';
  direct.reason = '';
  effects.push(...stepSegmentation(direct.segmentation, { type: 'length' }, now));
  if (direct.liveness.phase.name === 'trying') direct.liveness.phase = { name: 'alive' };
  if (direct.mtu === null) {
    direct.mtu = newPathMtu({ limit: longestPacket, rtt: direct.liveness.roundTrips.smoothed }, now);
    effects.push({ type: 'fit', bytes: confirmed(direct.mtu), searching: true });
  } else {
    takeMtu(direct, { type: 'path', limit: longestPacket }, now, effects);
  }
  effects.push({ type: 'use', index: direct.using.index }, { type: 'tell' });
  takeMtu(direct, { type: 'tick' }, now, effects);
}

function takeLiveness(
  direct: Direct,
  event: Parameters<typeof stepLiveness>[1],
  now: number,
  effects: DirectEffect[],
): void {
  for (const effect of stepLiveness(direct.liveness, event, now)) {
    if (effect.type === 'alive') rise(direct, now, effects);
    else if (effect.type === 'probe') {
      if (direct.using === null) continue;
      effects.push({ type: 'probe', index: direct.using.index, number: effect.number, bytes: 0 });
    } else {
      direct.phase = 'trying';
      direct.reason = unanswered;
      if (event.type === 'tick') effects.push({ type: 'tell-peer' });
      effects.push({ type: 'use', index: null }, { type: 'tell' });
    }
  }
}

function takeMtu(
  direct: Direct,
  event: Parameters<typeof stepPathMtu>[1],
  now: number,
  effects: DirectEffect[],
): void {
  if (direct.mtu === null || direct.using === null) return;
  for (const effect of stepPathMtu(direct.mtu, event, now)) {
    if (effect.type === 'probe') {
      const { bytes } = effect;
      const number = mtuProbe + effect.number;
      effects.push({ type: 'probe', index: direct.using.index, number, bytes });
    } else {
      const bytes = confirmed(direct.mtu);
      if (effect.type === 'confirmed') stepSegmentation(direct.segmentation, { type: 'length' }, now);
      effects.push({ type: 'fit', bytes, searching: effect.type === 'confirmed' });
    }
  }
}

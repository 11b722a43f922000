/**
 * How the packets of one link are sealed, and whether they go by its direct path: a reducer over `DirectEvent`, whose effects
 * the shell runs. The keypairs (`keypairs.ts`) serve whatever carries the records.
 *
 *        records may go there       a probe answered               probes unanswered
 *   off ─────────────────► trying ────────────────► up ────────────────────────────► trying ──three answers──► up
 */
import { type Bucket, newBucket, take } from '../../protocol/bucket.ts';
import { due, type Elsewhere, nextDeadline as elsewhereDeadline, type Place, tell } from './elsewhere.ts';
import {
  firstOf,
  type Keypairs,
  type KeypairsEffect,
  type KeypairsEvent,
  nextDeadline as keypairsDeadline,
  newKeypairs,
  proofDoublings,
  step as stepKeypairs,
  trialOf,
} from './keypairs.ts';
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
  usualSize,
} from './path-mtu.ts';
import {
  newSegmentation,
  type Segmentation,
  nextDeadline as segmentationDeadline,
  step as stepSegmentation,
} from './segmentation.ts';

/** Milliseconds that a path counts as in use after a packet: TCP in a black hole is silent for as long. */
const activeFor = 4000;

/** Milliseconds between probes of a path of which nothing is known; after so many of them twice as long each, to once in
 *  longer than a NAT mapping lives: behind a firewall that drops records they would never end. */
const tryInterval = 400;

/** Probes of the path MTU have this bit in their number, and one of a path of which nothing is known has none at all. */
const mtuProbe = 0x8000_0000;

/** Searches for the MTU that a peer begins by sending from another address: that many at once, and one in 30 s. */
const newSearches = () => newBucket(3, 1 / 30);

const tooOld = 'the keys are too old, and the peer renews none';

const unanswered = 'the peer does not answer probes';

/** The kernel tells by refusing what its interface does not take. */
const longestPacket = 65_535;

export interface Direct {
  phase: 'off' | 'trying' | 'up';
  reason: string;
  readonly keypairs: Keypairs;
  liveness: Liveness;
  mtu: PathMtu | null;
  segmentation: Segmentation;
  /** While the peer does not answer. */
  elsewhere: Elsewhere;
  /** Both ways, at the last tick. */
  packets: number;
  /** When they were more than before. */
  packetAt: number;
  tryAt: number;
  /** Probes sent to a path of which nothing is known. */
  tries: number;
  readonly searches: Bucket;
  /** Records go to an address for which the MTU is not searched yet. */
  isBehind: boolean;
}

/** As counted by the engine since the device was opened. */
interface Traffic {
  /** Packets by the direct path. */
  readonly sent: number;
  readonly received: number;
  /** By all carriers and both ways, probes included. */
  readonly records: number;
  /** Sent by the direct path, and how many of them together with others. */
  readonly sealed: number;
  readonly segmented: number;
}

export type DirectEvent =
  | Exclude<KeypairsEvent, { type: 'tick' }>
  /** Records may go to the peer's shared port, maybe by another way than before. */
  | { readonly type: 'begin' }
  /** ICE has a pair for the connection of that negotiation, and no other one carries the link: records may go to that pair,
   *  or by the path that is up. */
  | { readonly type: 'paired'; readonly negotiation: string }
  /** They may not; nothing happens to a path that is up. */
  | { readonly type: 'rest'; readonly reason: string }
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
  | KeypairsEffect
  /** `bytes` of the IP packet; 0: as few as it can be. */
  | { readonly type: 'probe'; readonly index: number; readonly number: number; readonly bytes: number }
  /** Ask the peer there. */
  | { readonly type: 'ask'; readonly index: number; readonly place: Place }
  /** Whether records go by this path. */
  | { readonly type: 'carry'; readonly on: boolean }
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
    keypairs: newKeypairs(),
    liveness: newLiveness(now),
    mtu: null,
    segmentation: newSegmentation(),
    elsewhere: [],
    packets: 0,
    packetAt: Number.NEGATIVE_INFINITY,
    tryAt: now,
    tries: 0,
    searches: newSearches(),
    isBehind: false,
  };
}

/** Bytes of the longest IP packet known to pass; null before the path was up. */
export function fittingPacket(direct: Direct): number | null {
  return direct.mtu === null ? null : confirmed(direct.mtu);
}

/** When to `step` with a `tick` next; undefined where nothing is to be done. */
export function nextDeadline(direct: Direct): number | undefined {
  const { phase, mtu, liveness } = direct;
  const { using } = direct.keypairs;
  const times: number[] = [];
  const keysAt = keypairsDeadline(direct.keypairs);
  if (keysAt !== undefined) times.push(keysAt);
  if (isUnknown(direct)) times.push(direct.tryAt);
  else if (using !== null && phase !== 'off') times.push(livenessDeadline(liveness).at);
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
    case 'begin':
      begin(direct, now, effects);
      break;
    case 'paired':
      paired(direct, event.negotiation, now, effects);
      break;
    case 'rest':
      if (direct.phase === 'up') break;
      direct.phase = 'off';
      direct.reason = event.reason;
      direct.liveness = newLiveness(now);
      break;
    case 'installed':
    case 'active':
    case 'heard':
      takeKeypairs(direct, event, now, effects);
      break;
    case 'ended':
      // The peer may have closed it, and be gone from this path, too.
      if (event.negotiation === direct.keypairs.active)
        takeLiveness(direct, { type: 'doubted' }, now, effects);
      takeKeypairs(direct, event, now, effects);
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

function takeKeypairs(direct: Direct, event: KeypairsEvent, now: number, effects: DirectEffect[]): void {
  const had = direct.keypairs.using !== null;
  effects.push(...stepKeypairs(direct.keypairs, event, now));
  const has = direct.keypairs.using !== null;
  if (has !== had) {
    direct.liveness = newLiveness(now);
    direct.tries = 0;
    direct.tryAt = now;
  }
  if (event.type === 'heard' && isUnknown(direct)) {
    direct.tries = 0;
    tryPath(direct, now, effects);
  }
  if (has === had || has || direct.phase === 'off') return;
  const wasUp = direct.phase === 'up';
  direct.phase = 'trying';
  direct.reason = tooOld;
  if (wasUp) effects.push({ type: 'tell-peer' }, { type: 'carry', on: false }, { type: 'tell' });
}

/** The keys of a connection that is being opened: the peer has them once it was heard under them. On a path that is up they are
 *  only shown to it, since those in use are not renewed without a connection, and a peer that has started anew has no
 *  others. One that is down serves nothing: the new pair is tried as if nothing were known. */
function paired(direct: Direct, negotiation: string, now: number, effects: DirectEffect[]): void {
  const first = firstOf(direct.keypairs, negotiation);
  if (direct.phase !== 'up') {
    direct.phase = 'off';
    direct.liveness = newLiveness(now);
    begin(direct, now, effects);
  } else if (first !== undefined) effects.push({ type: 'prove', index: first.index });
}

function begin(direct: Direct, now: number, effects: DirectEffect[]): void {
  if (direct.phase === 'off') {
    direct.phase = 'trying';
    direct.reason = '';
  }
  direct.tries = 0;
  follow(direct, now, effects);
  if (isUnknown(direct)) tryPath(direct, now, effects);
}

/** It was never answered, since there is a keypair for it. */
function isUnknown({ phase, keypairs, liveness }: Direct): boolean {
  return phase === 'trying' && trialOf(keypairs) !== null && liveness.phase.name === 'trying';
}

function tryPath(direct: Direct, now: number, effects: DirectEffect[]): void {
  direct.tries++;
  const doublings = proofDoublings(direct.tries);
  direct.tryAt = now + tryInterval * 2 ** doublings;
  if (doublings > 0) direct.reason = unanswered;
  const { index } = trialOf(direct.keypairs)!;
  effects.push({ type: 'probe', index, number: 0, bytes: 0 });
  // With its answer a new link has what it waits for one round trip earlier than by the search.
  if (direct.mtu === null) effects.push({ type: 'probe', index, number: mtuProbe, bytes: usualSize });
}

/** A path that answers is good as it is, whatever the peer says. */
function ask(direct: Direct, now: number, effects: DirectEffect[]): void {
  const { elsewhere, liveness } = direct;
  const { using } = direct.keypairs;
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

function roam(direct: Direct, now: number, effects: DirectEffect[]): void {
  direct.elsewhere = [];
  takeLiveness(direct, { type: 'found' }, now, effects);
  if (search(direct, now, effects) || direct.mtu === null) return;
  effects.push({ type: 'fit', bytes: confirmed(direct.mtu), searching: false });
}

/** Searches the MTU of the way to where the peer is now, as soon as that may be: a peer may move all the time. */
function search(direct: Direct, now: number, effects: DirectEffect[]): boolean {
  direct.isBehind = !take(direct.searches, 1, now);
  if (!direct.isBehind) follow(direct, now, effects);
  return !direct.isBehind;
}

function answered(
  direct: Direct,
  { index, number, rtt, opened }: DirectEvent & { type: 'answered' },
  now: number,
  effects: DirectEffect[],
): void {
  const { using, previous } = direct.keypairs;
  if (direct.phase === 'off' || (using?.index !== index && previous?.index !== index)) return;
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
  takeKeypairs(direct, { type: 'tick', records: event.records }, now, effects);
  if (direct.phase === 'off') return;
  if (direct.isBehind) search(direct, now, effects);
  if (isUnknown(direct)) {
    if (now >= direct.tryAt) tryPath(direct, now, effects);
    return;
  }
  if (direct.keypairs.using === null) return;
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

function rise(direct: Direct, now: number, effects: DirectEffect[]): void {
  if (direct.phase === 'up' || direct.keypairs.using === null) return;
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
  effects.push({ type: 'carry', on: true }, { type: 'tell' });
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
      const { using } = direct.keypairs;
      if (using === null) continue;
      effects.push({ type: 'probe', index: using.index, number: effect.number, bytes: 0 });
    } else {
      direct.phase = 'trying';
      direct.reason = unanswered;
      if (event.type === 'tick') effects.push({ type: 'tell-peer' });
      effects.push({ type: 'carry', on: false }, { type: 'tell' });
    }
  }
}

function takeMtu(
  direct: Direct,
  event: Parameters<typeof stepPathMtu>[1],
  now: number,
  effects: DirectEffect[],
): void {
  const { using } = direct.keypairs;
  if (direct.mtu === null || using === null) return;
  for (const effect of stepPathMtu(direct.mtu, event, now)) {
    if (effect.type === 'probe') {
      const { bytes } = effect;
      const number = mtuProbe + effect.number;
      effects.push({ type: 'probe', index: using.index, number, bytes });
    } else {
      const bytes = confirmed(direct.mtu);
      if (effect.type === 'confirmed') stepSegmentation(direct.segmentation, { type: 'length' }, now);
      effects.push({ type: 'fit', bytes, searching: effect.type === 'confirmed' });
    }
  }
}

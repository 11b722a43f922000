/**
 * The keypairs of one link, whatever carries its records: a reducer over `KeypairsEvent`, whose effects the shell runs. Each
 * connection brings a first one with its descriptions, which is renewed over its `wire` (`protocol/keys.ts`); keypairs
 * outlive their connection.
 *
 *                the connection carries the link, a renewal is
 *                  answered, or a record under it came
 *   next ─────────────────────────────────────────────────────► using ──the next one──► previous ──540 s──► removed
 *
 *   next      installed; the peer may not have it yet. One for each connection that is being opened
 *   using     what packets are sealed with
 *   previous  still opened, for what is under way
 */

/** Milliseconds that a keypair serves (WireGuard's REKEY_AFTER_TIME). */
const renewAfter = 120_000;

/** Milliseconds between two tries of a renewal that is not answered (twice WireGuard's REKEY_TIMEOUT: a peer answers one in
 *  10 s). */
const retryAfter = 10_000;

/** Milliseconds after which nothing is sealed with a keypair any more, and nothing opened (WireGuard's REJECT_AFTER_TIME, and
 *  three times that). */
const sealFor = 180_000;
const openFor = 540_000;

/** Records after which a keypair is renewed however young it is. */
const renewAfterRecords = 2 ** 40;

/** Milliseconds between the records by which the peer hears of a renewed keypair, until it was heard under that; after so
 *  many of them twice as long each time. */
const proveInterval = 400;
const proveEagerly = 8;
const proveDoublings = 6;

/** Keypairs that wait for use at a time: those of a shared and a relayed connection, of their successors, and a renewal. */
const mostNext = 4;

interface Keypair {
  /** Our receiver index. */
  readonly index: number;
  readonly generation: number;
  readonly negotiation: string;
  /** When it was agreed on, and the records sent and received before it was in use. */
  since: { readonly at: number; readonly records: number };
  /** A record under it came. */
  heard: boolean;
}

/** What is being agreed on, or was last, by one negotiation. */
interface Renewal {
  /** We made its offer: we begin. */
  readonly offered: boolean;
  generation: number;
  installed: boolean;
  /** When we asked last for the generation that is next; null while there is no need. */
  askedAt: number | null;
}

export interface Keypairs {
  /** By negotiation, of the connections that there are. */
  readonly renewals: Map<string, Renewal>;
  /** The negotiation of the connection that carries the link, and the renewals. */
  active: string | null;
  /** The newest last. */
  next: Keypair[];
  using: Keypair | null;
  previous: Keypair | null;
  /** Both ways, at the last tick. */
  records: number;
  /** When the peer is to hear of `using` again, and how often it was; null where it need not. */
  proving: { at: number; proofs: number } | null;
}

export type KeypairsEvent =
  /** Records to `index` are opened from now on. */
  | {
      readonly type: 'installed';
      readonly negotiation: string;
      /** We made its offer. */
      readonly offered: boolean;
      readonly generation: number;
      readonly index: number;
    }
  /** A connection that both ends are ready for carries the link: the peer has its first keypair. */
  | { readonly type: 'active'; readonly negotiation: string }
  | { readonly type: 'ended'; readonly negotiation: string }
  /** The first record under it came: the peer has it. */
  | { readonly type: 'heard'; readonly index: number }
  /** Records so far, both ways. */
  | { readonly type: 'tick'; readonly records: number };

export type KeypairsEffect =
  /** Ask the peer for keys of this generation. */
  | { readonly type: 'renew'; readonly negotiation: string; readonly generation: number }
  /** Packets are sealed with it from now on; null: there is none, and they are dropped. */
  | { readonly type: 'use'; readonly index: number | null }
  /** Have the peer hear of it, by each way there is. */
  | { readonly type: 'prove'; readonly index: number }
  | { readonly type: 'remove'; readonly index: number };

export function newKeypairs(): Keypairs {
  return {
    renewals: new Map(),
    active: null,
    next: [],
    using: null,
    previous: null,
    records: 0,
    proving: null,
  };
}

/** Whether the peer may ask for keys of this generation by that negotiation. */
export function mayRenew({ renewals }: Keypairs, negotiation: string, generation: number): boolean {
  const renewal = renewals.get(negotiation);
  return renewal?.installed === true && !renewal.offered && generation === renewal.generation + 1;
}

/** The first keypair of that negotiation, while it waits for use. */
export function firstOf({ next }: Keypairs, negotiation: string): Keypair | undefined {
  return next.find((each) => each.negotiation === negotiation && each.generation === 0);
}

/** What a path of which nothing is known is probed with: where no connection carries the link, the keypair of one that is
 *  being opened, whose answer shows that the peer has it. */
export function trialOf({ active, renewals, next, using }: Keypairs): Keypair | null {
  const opening = next.findLast(({ negotiation }) => renewals.has(negotiation));
  return active === null && opening !== undefined ? opening : using;
}

/** When to `step` with a `tick` next; undefined where nothing is to be done. */
export function nextDeadline(keypairs: Keypairs): number | undefined {
  const { next, using, previous, proving } = keypairs;
  const times = next.map(({ since }) => since.at + sealFor);
  if (using !== null) times.push(using.since.at + sealFor);
  if (previous !== null) times.push(previous.since.at + openFor);
  if (proving !== null) times.push(proving.at);
  const renewAt = renewalAt(keypairs);
  if (renewAt !== undefined) times.push(renewAt);
  return times.length === 0 ? undefined : Math.min(...times);
}

/** Changes `keypairs` in place. */
export function step(keypairs: Keypairs, event: KeypairsEvent, now: number): KeypairsEffect[] {
  const effects: KeypairsEffect[] = [];
  switch (event.type) {
    case 'installed':
      install(keypairs, event, now, effects);
      break;
    case 'active': {
      if (!keypairs.renewals.has(event.negotiation)) break;
      keypairs.active = event.negotiation;
      const first = firstOf(keypairs, event.negotiation);
      if (first !== undefined) promote(keypairs, first, effects);
      break;
    }
    case 'ended':
      keypairs.renewals.delete(event.negotiation);
      if (keypairs.active === event.negotiation) keypairs.active = null;
      break;
    case 'heard':
      heard(keypairs, event.index, effects);
      break;
    case 'tick':
      keypairs.records = event.records;
      expire(keypairs, now, effects);
      renew(keypairs, now, effects);
      if (keypairs.proving !== null && now >= keypairs.proving.at) prove(keypairs, now, effects);
  }
  return effects;
}

function install(
  keypairs: Keypairs,
  { negotiation, offered, generation, index }: KeypairsEvent & { type: 'installed' },
  now: number,
  effects: KeypairsEffect[],
): void {
  keypairs.renewals.set(negotiation, { offered, generation, installed: true, askedAt: null });
  const before = keypairs.next.filter((each) => each.negotiation === negotiation);
  for (const each of before) drop(keypairs, each, effects);
  if (keypairs.next.length === mostNext) drop(keypairs, keypairs.next[0]!, effects);
  const since = { at: now, records: keypairs.records };
  const keypair: Keypair = { index, generation, negotiation, since, heard: false };
  keypairs.next.push(keypair);
  // The answer to a renewal tells that the peer opens what is sealed with it; and it does not seal before it hears us.
  if (generation === 0 || !offered) return;
  promote(keypairs, keypair, effects);
  keypairs.proving = { at: now, proofs: 0 };
  prove(keypairs, now, effects);
}

function heard(keypairs: Keypairs, index: number, effects: KeypairsEffect[]): void {
  const { using } = keypairs;
  if (using?.index === index) {
    using.heard = true;
    keypairs.proving = null;
    return;
  }
  const next = keypairs.next.find((each) => each.index === index);
  if (next === undefined) return;
  next.heard = true;
  // What came late by a slow carrier does not bring an older one back.
  if (using !== null && next.since.at < using.since.at) return;
  promote(keypairs, next, effects);
  effects.push({ type: 'prove', index });
}

function promote(keypairs: Keypairs, keypair: Keypair, effects: KeypairsEffect[]): void {
  keypairs.next = keypairs.next.filter((each) => each !== keypair);
  // A renewal that was overtaken is of no more use; the first one of another connection may be.
  for (const each of keypairs.next)
    if (each.generation > 0 && each.since.at <= keypair.since.at) drop(keypairs, each, effects);
  keypair.since = { at: keypair.since.at, records: keypairs.records };
  use(keypairs, keypair, effects);
}

/** Packets are sealed with this one from now on, or with none; the one before is opened still. */
function use(keypairs: Keypairs, keypair: Keypair | null, effects: KeypairsEffect[]): void {
  const { using, previous } = keypairs;
  keypairs.using = keypair;
  keypairs.proving = null;
  effects.push({ type: 'use', index: keypair?.index ?? null });
  if (using === null) return;
  keypairs.previous = using;
  if (previous !== null) effects.push({ type: 'remove', index: previous.index });
}

function drop(keypairs: Keypairs, keypair: Keypair, effects: KeypairsEffect[]): void {
  keypairs.next = keypairs.next.filter((each) => each !== keypair);
  effects.push({ type: 'remove', index: keypair.index });
}

function prove(keypairs: Keypairs, now: number, effects: KeypairsEffect[]): void {
  const { proving, using } = keypairs;
  if (proving === null || using === null) return;
  proving.proofs++;
  proving.at = now + proveInterval * 2 ** proofDoublings(proving.proofs);
  effects.push({ type: 'prove', index: using.index });
}

/** How often the time between two proofs has doubled, after so many of them. */
export function proofDoublings(proofs: number): number {
  return Math.min(Math.max(proofs - proveEagerly, 0), proveDoublings);
}

/** We begin, where we made the offer; also where no keypair is left. Undefined where we do not, `-Infinity` for at once. */
function renewalAt({ renewals, active, next, using, previous }: Keypairs): number | undefined {
  const renewal = active === null ? undefined : renewals.get(active);
  if (renewal?.offered !== true) return undefined;
  if (renewal.askedAt !== null) return renewal.askedAt + retryAfter;
  const ages = [...next, using, previous].flatMap((each) => each?.since.at ?? []);
  return ages.length === 0 ? Number.NEGATIVE_INFINITY : Math.max(...ages) + renewAfter;
}

function renew(keypairs: Keypairs, now: number, effects: KeypairsEffect[]): void {
  const at = renewalAt(keypairs);
  if (at === undefined) return;
  const { active, using, records } = keypairs;
  const renewal = keypairs.renewals.get(active!)!;
  const isWorn =
    renewal.askedAt === null && using !== null && records - using.since.records >= renewAfterRecords;
  if (now < at && !isWorn) return;
  renewal.installed = false;
  renewal.askedAt = now;
  effects.push({ type: 'renew', negotiation: active!, generation: renewal.generation + 1 });
}

function expire(keypairs: Keypairs, now: number, effects: KeypairsEffect[]): void {
  const { next, using, previous } = keypairs;
  for (const each of next) if (now >= each.since.at + sealFor) drop(keypairs, each, effects);
  if (previous !== null && now >= previous.since.at + openFor) {
    effects.push({ type: 'remove', index: previous.index });
    keypairs.previous = null;
  }
  if (using !== null && now >= using.since.at + sealFor) use(keypairs, null, effects);
}

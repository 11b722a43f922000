/**
 * A start whose epoch is behind that of an earlier one: no clock at boot, a state directory that was lost or restored.
 * What it says is older than what the mesh has of it, and nobody would listen. So whoever has a later signed record of a
 * node shows it to who tells an earlier one, and the node continues one epoch after it, as OSPF does with its own LSAs
 * (RFC 2328 section 13.4).
 *
 *     node                         neighbor                      node
 *       ── members: my epoch 5 ──►  has epoch 9 of it, signed
 *                                   ── members: epoch 9 of you ──►  signed by me, ahead of me: epoch 10
 *                                   ◄── members: my epoch 10 ─────
 *
 * Only a record that our own key signed moves us, and no record moves us twice. Two machines with one key drive each other
 * up, one epoch at a time, until one of them gives in; by that each knows of the other (`twin.ts`).
 */
import type { MemberEntry, SignedRecord } from '../../protocol/signaling.ts';
import { hex } from './environment.ts';
import type { Channel } from './events.ts';
import { channelsByNeighbor } from './flood.ts';
import { changeEpoch, entryOf, isSigned, newestOf, readRecord } from './membership.ts';
import { within } from './quotas.ts';
import type { Turn } from './state.ts';
import { meetClone } from './twin.ts';

/** Times that a node takes a later epoch within so many milliseconds. A node that was started by several clocks may
 *  meet several of its records. */
const maxClimbs = 5;
const climbWindow = 600_000;
/** The same where another machine has our key: the later one is heard, and the other one again when that is gone. */
const maxClimbsBesideClone = 2;

/** Epochs of two machines with one key are not further apart than they drove each other up; two starts of one machine are
 *  milliseconds of its clock apart, and mostly many. */
const maxApart = 64;

/** Milliseconds since it was heard of for a record to say that its node runs. */
const freshAge = 30_000;

/** Times that a node is told of such a record of itself, in so many milliseconds. */
const toldApart = 1;
const apartPause = 30_000;

/** Channels by which a node is told of another record of itself. */
const maxWays = 3;

/** Own epochs that are remembered. */
const maxOwn = 64;

/** Later records of one node that are passed on to it, in so many milliseconds: two machines with one key answer each
 *  other at once. */
const passedAtOnce = 4;
const passWindow = 10_000;

/** Records shown to one neighbor within a second. */
const shownPerSecond = 16;

/** Milliseconds after the last earlier record that a peer told of itself until it counts as mended. */
const behindLifetime = 30_000;

const subject = 'epoch';

export interface Epochs {
  /** Ours, since this process started, the latest last. What was said to any of them was said to us. */
  readonly own: number[];
  /** No earlier start of ours was later than this. */
  bar: number;
  /** When we took a later one. */
  climbs: number[];
  /** When there last was a record of ours ahead of us; null where nothing is said of it any more. */
  warnedAt: number | null;
  /** When a peer last told us an earlier epoch of itself than we know. */
  readonly behind: Map<string, number>;
}

export function newEpochs(epoch: number): Epochs {
  return { own: [epoch], bar: epoch, climbs: [], warnedAt: null, behind: new Map() };
}

/** Our own record, ahead of us and signed by us. True where we continue after it. */
export function climb(turn: Turn, signed: SignedRecord, teller: string): boolean {
  const { mesh, env } = turn;
  const { epochs, membership } = mesh;
  const later = readRecord(signed)!.epoch;
  epochs.climbs = epochs.climbs.filter((at) => env.now - at < climbWindow);
  // Whoever continues right after an epoch that we had only just taken is another process with our key.
  const isAnswer = epochs.own.length > 1 && later === mesh.self.epoch + 1;
  const limit = mesh.cloneAt === null ? maxClimbs : maxClimbsBesideClone;
  if (isAnswer || epochs.climbs.length >= limit) meetClone(turn, teller);
  else epochs.bar = Math.max(epochs.bar, later);
  if (epochs.climbs.length >= limit) return false;
  epochs.climbs.push(env.now);
  const before = mesh.self.epoch;
  changeEpoch(membership, later + 1, env);
  mesh.self = membership.self;
  epochs.own.push(mesh.self.epoch);
  if (epochs.own.length > maxOwn) epochs.own.shift();
  turn.effects.push({ type: 'epoch', epoch: mesh.self.epoch });
  const hasClone = mesh.cloneAt !== null;
  epochs.warnedAt = hasClone ? null : env.now;
  warn(
    turn,
    null,
    hasClone
      ? null
      : `the mesh knows a start of this node that was ${span(later - before)} later: the clock is behind, or the state directory is an old one; it continues after that start`,
  );
  const entries = [entryOf(membership, mesh.self.id, env.now)!];
  for (const channel of channelsByNeighbor(turn).values()) {
    turn.effects.push({ type: 'send', channel, message: { type: 'members', entries } });
  }
  return true;
}

/** Somebody told us an earlier record than we have of the same node: shows ours. `teller`: who vouches for it, if that is
 *  known; of a node that tells it of itself there is something to warn of. */
export function correct(turn: Turn, signed: SignedRecord, channel: Channel, teller?: string): void {
  const { mesh, env } = turn;
  const record = readRecord(signed);
  const newest = record && newestOf(mesh.membership, record.id, env.now);
  if (record === undefined || newest === undefined) return;
  const ours = readRecord(newest)!;
  if (ours.epoch <= record.epoch || hex(ours.key) !== hex(record.key)) return;
  if (!mayTell(turn, channel, shownPerSecond) || !isSigned(record, signed, env)) return;
  if (teller === record.id) {
    mesh.epochs.behind.set(record.id, env.now);
    const isClone = ours.epoch - record.epoch <= maxApart;
    warn(
      turn,
      record.id,
      isClone
        ? 'two machines run with its identity key and displace each other: give each a state directory of its own'
        : `its epoch is ${span(ours.epoch - record.epoch)} earlier than that of its last start: its clock is behind, or its state directory is an old one`,
    );
  }
  turn.effects.push({ type: 'send', channel, message: { type: 'members', entries: [newest] } });
}

/** A later record of `id` came by another way: it may not know of it itself. */
export function passToNode(turn: Turn, id: string, entry: MemberEntry, from: Channel): void {
  const mayPass = () => within(turn.mesh.quotas, `node ${id}`, passedAtOnce, passWindow, turn.env.now);
  pass(turn, id, entry, from, mayPass);
}

/** A record of `id` and another one almost like it: two processes may run with its key, and each is told of the other. */
export function passClone(turn: Turn, id: string, entry: MemberEntry, from: Channel, apart: number): void {
  if (apart > maxApart || entry.age >= freshAge) return;
  const mayPass = () => within(turn.mesh.quotas, `clone ${id}`, toldApart, apartPause, turn.env.now);
  pass(turn, id, entry, from, mayPass);
}

/** Our own record, not ahead of us. Where we never had that epoch, nor an earlier start of ours, somebody else has our
 *  key. */
export function hearSelf(turn: Turn, entry: MemberEntry, teller: string): void {
  const { mesh, env } = turn;
  const { own, bar } = mesh.epochs;
  const record = readRecord(entry)!;
  if (record.epoch <= bar || record.epoch >= mesh.self.epoch || own.includes(record.epoch)) return;
  if (entry.age >= freshAge) return;
  if (mayTell(turn, 'self', 4) && isSigned(record, entry, env)) meetClone(turn, teller);
}

/** To `id`, by every channel but the one that it came by, since two machines may have that ID; else the way that is known. */
function pass(turn: Turn, id: string, entry: MemberEntry, from: Channel, mayPass: () => boolean): void {
  const { mesh, env, effects } = turn;
  const known = [...mesh.neighbors].filter(([channel, { id: of }]) => of === id && channel !== from);
  const channels = known.map(([channel]) => channel);
  const via = mesh.routes.get(id);
  if (channels.length === 0 && via !== undefined && via !== mesh.neighbors.get(from)?.id) {
    const way = channelsByNeighbor(turn).get(via);
    if (way !== undefined) channels.push(way);
  }
  const record = readRecord(entry);
  if (record === undefined || channels.length === 0) return;
  if (!mayPass() || !isSigned(record, entry, env)) return;
  for (const channel of channels.slice(0, maxWays)) {
    effects.push({ type: 'send', channel, message: { type: 'members', entries: [entry] } });
  }
}

/** What has not come up for a while is over. */
export function settleEpochs(turn: Turn): void {
  const { env, mesh, effects } = turn;
  const { epochs } = mesh;
  if (epochs.warnedAt !== null && env.now - epochs.warnedAt >= climbWindow) {
    epochs.warnedAt = null;
    effects.push({ type: 'warning', subject, about: null, message: null });
  }
  for (const [peer, at] of epochs.behind) {
    if (env.now - at < behindLifetime) continue;
    epochs.behind.delete(peer);
    effects.push({ type: 'warning', subject, about: peer, message: null });
  }
}

function warn(turn: Turn, about: string | null, message: string | null): void {
  turn.effects.push({ type: 'warning', subject, about, message });
}

/** How far apart two epochs are, which are times, in the largest unit that fits. */
function span(milliseconds: number): string {
  const units = [
    ['days', 86_400_000],
    ['hours', 3_600_000],
    ['minutes', 60_000],
    ['seconds', 1000],
  ] as const;
  const [unit, size] = units.find(([, size]) => milliseconds >= 2 * size) ?? (['milliseconds', 1] as const);
  return `${Math.round(milliseconds / size)} ${unit}`;
}

function mayTell({ mesh, env }: Turn, key: string, perSecond: number): boolean {
  return within(mesh.quotas, key, perSecond, 1000, env.now);
}

/**
 * Starts whose epoch is behind that of an earlier start, because the machine has no clock at boot or its state directory
 * was lost or restored. The mesh would take everything such a node says for old. So whoever has a later signed record of a
 * node shows it to whoever tells an earlier one, and the node continues one epoch after it, as OSPF does with its own
 * LSAs (RFC 2328 section 13.4).
 *
 *     node                         neighbor                      node
 *       ── members: my epoch 5 ──►  has epoch 9 of it, signed
 *                                   ── members: epoch 9 of you ──►  signed by me, ahead of me: epoch 10
 *                                   ◄── members: my epoch 10 ─────
 *
 * Only a record that our own key signed moves our epoch, and no record does so twice. Two machines with one key drive each
 * other's epoch up until a limit is reached; by that each notices the other (`twin.ts`).
 */
import type { MemberEntry, SignedRecord } from '../../protocol/signaling.ts';
import { hex } from './environment.ts';
import type { Channel } from './events.ts';
import { channelsByNeighbor } from './flood.ts';
import { changeEpoch, entryOf, isSigned, newestOf, readRecord } from './membership.ts';
import { within } from './quotas.ts';
import type { Turn } from './state.ts';
import { meetClone } from './twin.ts';

/** Times that a node takes a later epoch within so many milliseconds. A node that was started under several clocks may
 *  meet several of its own records. */
const maxClimbs = 5;
const climbWindow = 600_000;
/** The same while another machine has our key. The mesh hears the machine with the later epoch, and the other one again
 *  once that is gone. */
const maxClimbsBesideClone = 2;

/** Epochs that differ by at most this count as those of two machines with one key, which are as far apart as the machines
 *  drove each other up. Two starts of one machine are mostly many milliseconds apart. */
const maxApart = 64;

/** Milliseconds: a record at most this old shows that its node runs. */
const freshAge = 30_000;

/** Times, in so many milliseconds, that a node is shown the record of a possible clone. */
const toldApart = 1;
const apartPause = 30_000;

/** Channels by which a node is shown another record of itself. */
const maxWays = 3;

/** Own epochs of this process that are remembered. */
const maxOwn = 64;

/** Later records of one node that are passed on to it in so many milliseconds. Two machines with one key would answer
 *  each other without pause. */
const passedAtOnce = 4;
const passWindow = 10_000;

/** Records shown over one channel within a second. */
const shownPerSecond = 16;

/** Milliseconds without an outdated record from a peer about itself after which its epoch counts as corrected. */
const behindLifetime = 30_000;

const subject = 'epoch';

export interface Epochs {
  /** Our epochs since this process started, the latest last. A body for any of them is for us. */
  readonly own: number[];
  /** Records of ours with epochs up to this one may be those of earlier starts. */
  bar: number;
  /** When we took later epochs. */
  climbs: number[];
  /** When we last took a later epoch and warned of it; null while there is no such warning. */
  warnedAt: number | null;
  /** By peer: when it last told us an earlier epoch of itself than we know. */
  readonly behind: Map<string, number>;
}

export function newEpochs(epoch: number): Epochs {
  return { own: [epoch], bar: epoch, climbs: [], warnedAt: null, behind: new Map() };
}

/** Takes in a record of ours that we signed, with a later epoch than ours. True if we continue after it. */
export function climb(turn: Turn, signed: SignedRecord, teller: string): boolean {
  const { mesh, env } = turn;
  const { epochs, membership } = mesh;
  const later = readRecord(signed)!.epoch;
  epochs.climbs = epochs.climbs.filter((at) => env.now - at < climbWindow);
  // Only another process with our key continues right after an epoch that we have just taken.
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

/** Shows our later record of a node over the channel by which an earlier one came. `teller` is the neighbor that told it,
 *  if that is known; a node that tells an earlier record of itself makes a warning. */
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

/** Passes a later record of `id` on to `id`, which may not know of it. */
export function passToNode(turn: Turn, id: string, entry: MemberEntry, from: Channel): void {
  const mayPass = () => within(turn.mesh.quotas, `node ${id}`, passedAtOnce, passWindow, turn.env.now);
  pass(turn, id, entry, from, mayPass);
}

/** Passes a record of `id` on to `id` if its epoch is so close to the known one that two processes may have its key. So
 *  each hears of the other. */
export function passClone(turn: Turn, id: string, entry: MemberEntry, from: Channel, apart: number): void {
  if (apart > maxApart || entry.age >= freshAge) return;
  const mayPass = () => within(turn.mesh.quotas, `clone ${id}`, toldApart, apartPause, turn.env.now);
  pass(turn, id, entry, from, mayPass);
}

/** Takes in a record of ours that is not ahead of us. If neither this process nor an earlier start had that epoch, another
 *  machine has our key. */
export function hearSelf(turn: Turn, entry: MemberEntry, teller: string): void {
  const { mesh, env } = turn;
  const { own, bar } = mesh.epochs;
  const record = readRecord(entry)!;
  if (record.epoch <= bar || record.epoch >= mesh.self.epoch || own.includes(record.epoch)) return;
  if (entry.age >= freshAge) return;
  if (mayTell(turn, 'self', 4) && isSigned(record, entry, env)) meetClone(turn, teller);
}

/** Sends a record to `id` by all its channels except `from`, since two machines may have that ID, or else by the next
 *  hop. */
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

/** Ends warnings whose cause was not seen for a while. */
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

/** The distance of two epochs, which are times, in the largest unit of which there are at least two. */
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

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
 * Only a record that our own key signed moves us, and no record moves us twice. Two machines with one key would drive
 * each other up: `maxClimbs` bounds that.
 */
import type { MemberEntry, SignedRecord } from '../../protocol/signaling.ts';
import { hex } from './environment.ts';
import type { Channel } from './events.ts';
import { channelsByNeighbor } from './flood.ts';
import { changeEpoch, entryOf, isSigned, newestOf, readRecord } from './membership.ts';
import { within } from './quotas.ts';
import type { Turn } from './state.ts';

/** Times that a node takes a later epoch within so many milliseconds. A node that was started by several clocks may
 *  meet several of its records. */
const maxClimbs = 5;
const climbWindow = 600_000;

/** Records shown to one neighbor within a second, and of one node passed on. */
const shownPerSecond = 16;

/** Milliseconds after the last earlier record that a peer told of itself until it counts as mended. */
const behindLifetime = 30_000;

const subject = 'epoch';

export interface Epochs {
  /** Ours, since this process started, the latest last. What was said to any of them was said to us. */
  readonly own: number[];
  /** When we took a later one. */
  climbs: number[];
  /** When there last was a record of ours ahead of us; null where nothing is said of it any more. */
  warnedAt: number | null;
  /** When a peer last told us an earlier epoch of itself than we know. */
  readonly behind: Map<string, number>;
}

export function newEpochs(epoch: number): Epochs {
  return { own: [epoch], climbs: [], warnedAt: null, behind: new Map() };
}

/** Our own record, ahead of us and signed by us. True where we continue after it. */
export function climb(turn: Turn, signed: SignedRecord): boolean {
  const { mesh, env } = turn;
  const { epochs, membership } = mesh;
  const later = readRecord(signed)!.epoch;
  epochs.climbs = epochs.climbs.filter((at) => env.now - at < climbWindow);
  epochs.warnedAt = env.now;
  if (epochs.climbs.length >= maxClimbs) {
    warn(
      turn,
      null,
      'another node runs with our identity, and the two displace each other: give each machine a state directory of its own',
    );
    return false;
  }
  epochs.climbs.push(env.now);
  const before = mesh.self.epoch;
  changeEpoch(membership, later + 1, env);
  mesh.self = membership.self;
  epochs.own.push(mesh.self.epoch);
  if (epochs.own.length > maxClimbs) epochs.own.shift();
  turn.effects.push({ type: 'epoch', epoch: mesh.self.epoch });
  warn(
    turn,
    null,
    `the mesh knows a start of this node that was ${span(later - before)} later: the clock is behind, or the state directory is an old one; it continues after that start`,
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
    warn(
      turn,
      record.id,
      `its epoch is ${span(ours.epoch - record.epoch)} earlier than that of its last start: its clock is behind, or its state directory is an old one`,
    );
  }
  turn.effects.push({ type: 'send', channel, message: { type: 'members', entries: [newest] } });
}

/** A later record of `id` came by another way: it may not know of it itself. */
export function passToNode(turn: Turn, id: string, entry: MemberEntry, from: Channel): void {
  const { mesh, env } = turn;
  const channels = channelsByNeighbor(turn);
  const channel = channels.get(id) ?? channels.get(mesh.routes.get(id) ?? '');
  const record = readRecord(entry);
  if (record === undefined || channel === undefined || mesh.neighbors.get(channel) === undefined) return;
  if (mesh.neighbors.get(channel)!.id === mesh.neighbors.get(from)?.id) return;
  if (!mayTell(turn, `node ${id}`, 1) || !isSigned(record, entry, env)) return;
  turn.effects.push({ type: 'send', channel, message: { type: 'members', entries: [entry] } });
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

function warn(turn: Turn, about: string | null, message: string): void {
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

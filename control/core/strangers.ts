/** Nodes whose key is not the one that their ID has here: how they are told so, and what happens when the operator accepts
 *  their key. */
import { isFingerprint } from '../../protocol/fingerprint.ts';
import type { Refusal } from '../../protocol/handshake.ts';
import { parse } from '../../protocol/schema.ts';
import {
  type Body,
  body as bodySchema,
  domain,
  type FloodMessage,
  type NodeRecord,
} from '../../protocol/signaling.ts';
import { bytesOf, hex, prefixed } from './environment.ts';
import { learnRoute, sendBody } from './flood.ts';
import { takeRecord } from './gossip.ts';
import { dispute, exile, refusedBy, refuseRevoked, refuseSecond, settle } from './identity.ts';
import { isUp } from './link.ts';
import { holderOf, isRevoked, isSigned, otherOf, readRecord } from './membership.ts';
import { pinOf, recognize, replaceKept, replaceNamed } from './pins.ts';
import { within } from './quotas.ts';
import { removeLink, type Turn } from './state.ts';
import { meetClone, meetTwin } from './twin.ts';

/** In so many milliseconds a stranger is told once, and so many strangers are told. */
const pause = 10_000;
const maxTold = 16;

/** A node proved itself by a handshake, and we refused it. */
export function receiveClaim(turn: Turn, id: string, key: Uint8Array): void {
  const { mesh, env } = turn;
  const pinned = pinOf(mesh.membership.pins, id);
  if (id === mesh.self.id) meetOther(turn, key);
  else if (isRevoked(mesh.membership, { id, key }, env.digest)) refuseRevoked(turn, id);
  else if (pinned !== undefined && pinned !== hex(key)) dispute(turn, id, hex(key), id);
  else if (otherOf(mesh.membership, id, key) !== undefined) refuseSecond(turn, id, id);
}

/** A proven node refused us in a handshake. A node with our own ID does, as we refuse it. */
export function receiveRefusal(turn: Turn, by: string, refusal: Refusal): void {
  if (by !== turn.mesh.self.id) refusedBy(turn, by, refusal);
  else if (refusal.key !== undefined) meetOther(turn, refusal.key);
}

/** A proven node has our ID. */
function meetOther(turn: Turn, key: Uint8Array): void {
  if (hex(key) === hex(turn.mesh.self.key)) meetClone(turn, '');
  else meetTwin(turn, key, '');
}

/** A node asks us, through `teller`, for a link under an ID that has another key here. Tells it so; otherwise it would wait
 *  in vain and its operator would not know why. */
export function rejectStranger(turn: Turn, message: FloodMessage, teller: string): void {
  const { mesh, env } = turn;
  const { sender, from } = message;
  if (sender === undefined || from === mesh.self.id) return;
  const record = readRecord(sender);
  if (record === undefined || record.id !== from) return;
  if (isRevoked(mesh.membership, record, env.digest)) return;
  recognize(mesh.membership.pins, from, hex(record.key), env.digest);
  const holder = holderOf(mesh.membership, from);
  const isMistaken = holder !== undefined && holder !== hex(record.key);
  if (!isMistaken && otherOf(mesh.membership, from, record.key) === undefined) return;
  if (!within(mesh.quotas, `stranger ${from}`, 1, pause, env.now)) return;
  if (!within(mesh.quotas, 'strangers', maxTold, pause, env.now)) return;
  const body = isSigned(record, sender, env) ? bodyToUs(turn, message, record) : undefined;
  if (body === undefined) return;
  if (isMistaken) dispute(turn, from, hex(record.key), from, sender);
  if (!mesh.membership.members.has(from)) learnRoute(turn, from, teller);
  const answer = {
    ...(isMistaken && !isFingerprint(holder) ? { key: bytesOf(holder) } : {}),
    ...(body.kind === 'offer' ? { negotiation: body.negotiation } : {}),
  };
  sendBody(turn, from, { kind: 'reject', reason: 'identity', ...answer }, 'wide', record.epoch);
}

/** The operator changed the file of keys. An accepted key counts at once: all that we have of the key before is dropped,
 *  and the record that was refused is taken in. */
export function takePins(turn: Turn, kept: ReadonlyMap<string, string>): void {
  settlePinned(turn, replaceKept(turn.mesh.membership.pins, kept, turn.env.digest));
}

/** The operator changed the configuration, which may name other keys. */
export function takeNamed(turn: Turn): void {
  const { mesh, env } = turn;
  settlePinned(turn, replaceNamed(mesh.membership.pins, mesh.config.named, env.digest));
}

/** These IDs have another pin than before. */
function settlePinned(turn: Turn, ids: readonly string[]): void {
  for (const id of ids) repin(turn, id);
}

/** The pin of `id` is another one now, or none. */
export function repin(turn: Turn, id: string): void {
  const { mesh, env } = turn;
  const { membership } = mesh;
  const member = membership.members.get(id);
  const disputed = mesh.disputes.get(id);
  for (const key of [member && hex(member.record.key), disputed?.key])
    if (key !== undefined) recognize(membership.pins, id, key, env.digest);
  const pinned = pinOf(membership.pins, id);
  const link = mesh.links.get(id);
  const isLinked = link !== undefined && isUp(link);
  // If no key is pinned any more, the linked one stays. Without a link the next key that comes is taken.
  if (pinned === undefined ? !isLinked : member !== undefined && hex(member.record.key) !== pinned) {
    exile(turn, id);
  } else if (pinned !== undefined && member === undefined) removeLink(turn, id, 'its key counts no more');
  if (disputed === undefined) return;
  settle(turn, id);
  const { told } = disputed;
  if (told === null || (pinned !== undefined && pinned !== disputed.key)) return;
  takeRecord(turn, { ...told.signed, age: Math.round(env.now - told.heardAt) }, id, '');
}

/** The body of a flood if it is signed by this key, of this epoch, and to one of our epochs; else undefined. */
function bodyToUs({ mesh, env }: Turn, message: FloodMessage, { key, epoch }: NodeRecord): Body | undefined {
  if (!env.verify(key, prefixed(domain.body, message.body), message.signature)) return undefined;
  try {
    const body = parse(bodySchema, message.body);
    const isOurs = body.to === mesh.self.id && mesh.epochs.own.includes(body.toEpoch);
    return isOurs && body.from === message.from && body.epoch === epoch ? body : undefined;
  } catch {
    return undefined;
  }
}

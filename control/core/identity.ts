/**
 * Which key may speak for an ID, and what the operators on both sides are told where two keys want the same one.
 *
 *     we refuse a key, because its ID has another one here   warning `identity` about the peer: how to accept the key
 *     a proven node refuses us                               warning `id` about this node, with both keys
 *
 * A warning ends when its cause was not seen for a while, or when the key is accepted.
 */
import { errorCodes } from '../../protocol/errors.ts';
import { isFingerprint } from '../../protocol/fingerprint.ts';
import type { Refusal } from '../../protocol/handshake.ts';
import type { SignedRecord } from '../../protocol/signaling.ts';
import { bytesOf, hex } from './environment.ts';
import { type Digest, fingerprintOf, fingerprintOfPin } from './fingerprint.ts';
import { isUp } from './link.ts';
import { expel, isRevoked, otherOf } from './membership.ts';
import { keep, meet, pinOf, recognize } from './pins.ts';
import { within } from './quotas.ts';
import { type Mesh, notice, publish, removeLink, type Turn } from './state.ts';

/** Milliseconds without a new refusal after which a warning ends. A refused node tries again within a minute. */
const lifetime = 180_000;

/** Peers with such a warning at a time, and nodes remembered that refuse us. Members could make any number of either. */
const maxDisputes = 8;
const maxRefusals = 64;

/** Keys written to the state directory within an hour. A mesh that forms has hundreds; an attacker may invent any number. */
const keptPerHour = 1024;

const hour = 3_600_000;

/** A key that wants an ID which has another one. */
export interface Dispute {
  /** In hexadecimal. */
  readonly key: string;
  readonly at: number;
  /** The node that told of it; the disputed ID itself if the key's owner proved that it has it. */
  readonly by: string;
  /** The record with that key, if there is one, and when its node was heard of. */
  readonly told: { readonly signed: SignedRecord; readonly heardAt: number } | null;
}

/** Why a node that proves to have `key` is refused as `id`; undefined if it is not. */
export function judge(
  { membership, self }: Mesh,
  id: string,
  key: Uint8Array,
  digest: Digest,
): Refusal | undefined {
  if (id === self.id) return { code: 'id_in_use', key: self.key };
  if (isRevoked(membership, { id, key }, digest)) return { code: 'denied' };
  recognize(membership.pins, id, hex(key), digest);
  const pinned = pinOf(membership.pins, id);
  if (pinned !== undefined && pinned !== hex(key)) {
    return { code: 'identity_mismatch', ...(isFingerprint(pinned) ? {} : { key: bytesOf(pinned) }) };
  }
  return otherOf(membership, id, key) === undefined ? undefined : { code: 'key_in_use' };
}

/** A node proved that it has `key`, by a handshake or, with `linked`, by a link. False if the key may not speak for the
 *  ID. */
export function prove(turn: Turn, id: string, key: Uint8Array, linked: boolean): boolean {
  const { mesh, env, effects } = turn;
  const { members, pins } = mesh.membership;
  if (judge(mesh, id, key, env.digest) !== undefined) return false;
  const text = hex(key);
  const known = members.get(id);
  if (known !== undefined && hex(known.record.key) !== text) exile(turn, id);
  meet(pins, id, text, env.now);
  if (linked && pins.kept.get(id) !== text && within(mesh.quotas, 'keep', keptPerHour, hour, env.now)) {
    if (keep(pins, id, text)) {
      effects.push({ type: 'pin', id, key: text });
      publish(turn, { event: 'trust.pinned', peer: id });
    }
  }
  settle(turn, id);
  return true;
}

/** Drops everything that we have of `id`, because its key is not the one of that ID any more. */
export function exile(turn: Turn, id: string): void {
  const { mesh } = turn;
  expel(mesh.membership, id);
  mesh.windows.delete(id);
  mesh.routes.delete(id);
  removeLink(turn, id, 'another key has its ID');
}

/** Notes and warns that `key`, which signed for it, wants an ID that has another key. */
export function dispute(turn: Turn, id: string, key: string, by: string, signed?: SignedRecord, age = 0) {
  const { mesh, env, effects } = turn;
  const { disputes } = mesh;
  // A proven dispute takes the place of one that was only told.
  const hearsay = by === id ? [...disputes].find(([each, dispute]) => dispute.by !== each) : undefined;
  if (disputes.size >= maxDisputes && hearsay !== undefined) settle(turn, hearsay[0]);
  if (!disputes.has(id) && disputes.size >= maxDisputes) {
    limitedNotice(turn, 'identity refused: this ID belongs to another key', { peer: id, by });
    return;
  }
  const told = signed === undefined ? null : { signed, heardAt: env.now - age };
  const before = disputes.get(id);
  const kept = before?.key === key ? before.told : null;
  disputes.set(id, { key, at: env.now, by, told: told ?? kept });
  if (before?.key !== key) {
    const where = by === id ? '' : `, says ${by}`;
    publish(turn, { event: 'trust.disputed', peer: id, reason: `another key wants its ID${where}` });
  }
  effects.push({ type: 'warning', subject: 'identity', about: id, message: words(turn, id, key, by) });
}

/** Logs that `id` was refused because another node has its key. */
export function refuseSecond(turn: Turn, id: string, by: string): void {
  limitedNotice(turn, 'node refused: another node has its identity key', { peer: id, by });
}

/** Logs that a node was refused which operators have revoked. */
export function refuseRevoked(turn: Turn, id: string): void {
  limitedNotice(turn, 'node refused: an operator has revoked it', { peer: id });
}

/** A proven node refuses us. */
export function refusedBy(turn: Turn, by: string, refusal: Refusal): void {
  const { refusals } = turn.mesh;
  if (!refusals.has(by) && refusals.size >= maxRefusals) return;
  if (!refusals.has(by))
    publish(turn, { event: 'trust.refused', peer: by, reason: errorCodes[refusal.code] });
  refusals.set(by, { refusal, at: turn.env.now });
  sayRefusals(turn);
}

/** The node `by` does not refuse us any more. */
export function acceptedBy(turn: Turn, by: string): void {
  if (turn.mesh.refusals.delete(by)) sayRefusals(turn);
}

export function settleIdentities(turn: Turn): void {
  const { mesh, env } = turn;
  const end = Math.max(lifetime, 3 * mesh.config.checkInterval);
  for (const [id, { at }] of mesh.disputes) if (env.now - at >= end) settle(turn, id);
  for (const [by, { at }] of mesh.refusals) if (env.now - at >= end) acceptedBy(turn, by);
}

/** Ends the dispute about an ID. */
export function settle(turn: Turn, id: string): void {
  if (!turn.mesh.disputes.delete(id)) return;
  turn.effects.push({ type: 'warning', subject: 'identity', about: id, message: null });
  publish(turn, { event: 'trust.settled', peer: id });
}

/** Logs each message at most once a minute, with the number of those left out. */
export function limitedNotice(turn: Turn, message: string, fields: Record<string, unknown>): void {
  const { mesh, env } = turn;
  const key = `notice ${message}`;
  const unsaid = (mesh.quotas.get(key)?.count ?? 1) - 1;
  if (!within(mesh.quotas, key, 1, 60_000, env.now)) return;
  notice(turn, 'warn', message, { ...fields, ...(unsaid > 0 ? { leftOut: unsaid } : {}) });
}

function words({ mesh, env: { digest } }: Turn, id: string, key: string, by: string): string {
  const { pins, members } = mesh.membership;
  const { file, reload } = mesh.config.identities;
  const [theirs, named] = [fingerprintOfPin(key, digest), pins.named.has(id)];
  const link = mesh.links.get(id);
  const has = pinOf(pins, id) ?? hex(members.get(id)?.record.key ?? new Uint8Array());
  const where = by === id ? '' : `, says ${by}`;
  const state = link !== undefined && isUp(link) ? '; the node that has it is linked' : '';
  const here = named
    ? 'change what the configuration names for it'
    : `echo '${id} ${theirs}' >> ${file} && ${reload}`;
  const remedy =
    mesh.config.operators.length > 0 && !named
      ? `by: cryoc accept ${id} --fingerprint ${theirs} (once for all nodes; here alone: ${here})`
      : `by: ${here}`;
  return `another key wants the ID "${id}"${where}: ${theirs}, and its key here is ${fingerprintOfPin(has, digest)}${state}; refused. If that node was installed again, accept its new key ${remedy}`;
}

function sayRefusals({ mesh, env, effects }: Turn): void {
  const [first] = mesh.refusals;
  const message = first === undefined ? null : refusalWords(mesh, first[0], first[1].refusal, env.digest);
  effects.push({ type: 'warning', subject: 'id', about: null, message });
}

function refusalWords({ self, refusals }: Mesh, by: string, { code, key }: Refusal, digest: Digest): string {
  const ours = fingerprintOf(self.key, digest);
  const other = key === undefined ? '' : `, that of the other ${fingerprintOf(key, digest)}`;
  const more = refusals.size > 1 ? ` (nor by ${refusals.size - 1} more)` : '';
  const head = `node ID "${self.id}" is not taken by ${by}${more}`;
  if (code === 'key_in_use')
    return `${head}: a node of another ID has our key ${ours}; was the machine copied? Delete identity.pem in the copy`;
  if (key !== undefined && hex(key) === hex(self.key))
    return `${head}: another running node has this ID and our key ${ours}; is its state directory in use twice? Delete identity.pem in the copy`;
  if (code === 'denied')
    return `${head}: an operator of the mesh has revoked this ID or our key ${ours}; if that is over, have this node accepted by: cryoc accept ${self.id} --fingerprint ${ours}`;
  const what =
    code === 'id_in_use' ? 'another running node has this ID' : 'this ID belongs to another identity key';
  return `${head}: ${what}; our key is ${ours}${other}; give one of them another ID, or, if this node was installed again, add "${self.id} ${ours}" to the file identities there and reload`;
}

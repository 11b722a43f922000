/**
 * Who is in the mesh. Every node signs one record of itself. Nodes pass records on with their age, the time since somebody
 * last heard of that node, so that a dead node grows old everywhere at the same time and is not kept alive by hearsay.
 *
 *              learn (record, age)
 *   unknown ────────────────────────► known ──── heard of: heardAt moves forward
 *                                     ▲    │
 *          a later start, or the same │    │ forgotten: not heard of for `forgetAfter`
 *          where it was only silent   │    │ left: said goodbye; this epoch stays gone
 *                                     │    ▼
 *                                     former: its last record is kept, to show it to a start of an earlier epoch
 */
import { isFingerprint } from '../../protocol/fingerprint.ts';
import { encode } from '../../protocol/msgpack.ts';
import { lastEpoch, parse } from '../../protocol/schema.ts';
import {
  domain,
  type MemberEntry,
  type NodeRecord,
  nodeRecord,
  type SignedRecord,
} from '../../protocol/signaling.ts';
import { bytesOf, type Environment, hex, prefixed } from './environment.ts';
import type { Digest } from './fingerprint.ts';
import { type Pins, pinOf, recognize } from './pins.ts';
import { revocationOf, type Statements } from './statements.ts';

/** Members at most, beside this node. `hasRoom` says what happens to more. */
const maxMembers = 4096;

/** Nodes without a pin on the word of one neighbor, so that a neighbor that invents nodes fills at most half the room. */
const maxIntroduced = maxMembers / 2;

interface Member {
  readonly record: NodeRecord;
  readonly signed: SignedRecord;
  heardAt: number;
  /** When the node was first heard of. */
  readonly since: number;
  /** The neighbor that first told of it. */
  readonly introducer: string;
}

/** What is kept of a node that is gone. */
interface Former {
  readonly record: NodeRecord;
  readonly signed: SignedRecord;
  readonly heardAt: number;
  /** The epoch in which it said goodbye; -1 if it fell silent. */
  readonly left: number;
  /** Milliseconds for which it was known. */
  readonly stay: number;
}

export interface Membership {
  self: NodeRecord;
  selfSigned: SignedRecord;
  readonly members: Map<string, Member>;
  /** ID of each member by its key, in hexadecimal. */
  readonly byKey: Map<string, string>;
  readonly former: Map<string, Former>;
  readonly pins: Pins;
  readonly statements: Statements;
  /** Milliseconds. */
  forgetAfter: number;
}

export type Learned =
  | 'new'
  | 'newer'
  | 'known'
  /** Too old, or of a node that said goodbye. */
  | 'stale'
  /** Of an earlier epoch than the record that we have. Its signature was not verified. */
  | 'behind'
  /** Too old, but of a later epoch than the one that we have. Its signature was not verified. */
  | 'past'
  /** Our own record, of a later epoch than ours. */
  | 'ahead'
  /** Its ID has another key. */
  | 'conflict'
  /** Its key is that of another node. */
  | 'second'
  /** An operator has revoked its ID or its key. Its signature was not verified. */
  | 'revoked'
  | 'forged'
  | 'full';

export function newMembership(
  self: NodeRecord,
  pins: Pins,
  statements: Statements,
  forgetAfter: number,
  env: Environment,
): Membership {
  return {
    self,
    selfSigned: sign(self, env),
    members: new Map(),
    byKey: new Map(),
    former: new Map(),
    pins,
    statements,
    forgetAfter,
  };
}

/** Takes in one record, told by `teller`, of a node that was heard of `age` milliseconds ago. `apart` is the distance of
 *  its epoch from the known one. Only `new` and `newer` change what the digest covers. A key that was not proven yet has
 *  its ID for as long as its record is here. */
export function learn(
  membership: Membership,
  signed: SignedRecord,
  age: number,
  env: Environment,
  teller = '',
): { outcome: Learned; id: string; apart?: number } {
  const record = readRecord(signed);
  if (record === undefined) return { outcome: 'forged', id: '' };
  const { id, epoch } = record;
  const key = hex(record.key);
  const ifSigned = (outcome: Learned): { outcome: Learned; id: string } => ({
    outcome: isSigned(record, signed, env) ? outcome : 'forged',
    id,
  });
  if (id === membership.self.id) {
    if (key !== hex(membership.self.key)) return ifSigned('conflict');
    return epoch <= membership.self.epoch || epoch >= lastEpoch
      ? { outcome: 'known', id }
      : ifSigned('ahead');
  }
  if (isRevoked(membership, record, env.digest)) return { outcome: 'revoked', id };
  recognize(membership.pins, id, key, env.digest);
  const known = membership.members.get(id);
  const heardAt = env.now - age;
  const holder = holderOf(membership, id);
  if (known !== undefined && known.record.epoch === epoch && holder === key) {
    if (heardAt > known.heardAt) known.heardAt = heardAt;
    return { outcome: 'known', id };
  }
  if (holder !== undefined && holder !== key) {
    return age >= membership.forgetAfter ? { outcome: 'stale', id } : ifSigned('conflict');
  }
  if (otherOf(membership, id, record.key) !== undefined) return ifSigned('second');
  const last = membership.former.get(id);
  const former = last !== undefined && hex(last.record.key) === key ? last : undefined;
  const newest = known ?? former;
  if (newest !== undefined && newest.record.epoch > epoch)
    return { outcome: 'behind', id, apart: newest.record.epoch - epoch };
  if (age >= membership.forgetAfter || epoch <= (former?.left ?? -1)) {
    return { outcome: known !== undefined ? 'past' : 'stale', id };
  }
  if (!isSigned(record, signed, env)) return { outcome: 'forged', id };
  if (known === undefined && !hasRoom(membership, id, teller)) return { outcome: 'full', id };
  membership.former.delete(id);
  membership.byKey.set(key, id);
  membership.members.set(id, {
    record,
    signed,
    heardAt,
    since: known?.since ?? heardAt - (former?.stay ?? 0),
    introducer: known?.introducer ?? teller,
  });
  return known === undefined
    ? { outcome: 'new', id }
    : { outcome: 'newer', id, apart: epoch - known.record.epoch };
}

/** The key that has `id`, in hexadecimal: the pinned one, else that of the known record. */
export function holderOf({ pins, members, self }: Membership, id: string): string | undefined {
  if (id === self.id) return hex(self.key);
  const known = members.get(id);
  return pinOf(pins, id) ?? (known && hex(known.record.key));
}

/** The ID of another node than `id` that has this key and is known, or named by the operator. */
export function otherOf(membership: Membership, id: string, key: Uint8Array): string | undefined {
  const { members, pins, self } = membership;
  const text = hex(key);
  if (text === hex(self.key)) return id === self.id ? undefined : self.id;
  const pinned = pins.ids.get(text);
  if (pinned !== undefined && pinned !== id && (members.has(pinned) || pins.named.has(pinned))) return pinned;
  const told = membership.byKey.get(text);
  return told !== undefined && told !== id ? told : undefined;
}

/** Whether operators have put out the node of this ID and key. */
export function isRevoked(
  { statements }: Membership,
  { id, key }: Pick<NodeRecord, 'id' | 'key'>,
  digest: Digest,
): boolean {
  return revocationOf(statements, id, key, digest) !== undefined;
}

/** The same of the node that has this ID here, as far as its key is known. */
export function isOut(membership: Membership, id: string, digest: Digest): boolean {
  return revocationOf(membership.statements, id, keyHere(membership, id), digest) !== undefined;
}

function keyHere({ members, pins }: Membership, id: string): Uint8Array | undefined {
  const pin = pinOf(pins, id);
  return members.get(id)?.record.key ?? (pin === undefined || isFingerprint(pin) ? undefined : bytesOf(pin));
}

/** Why this key may not speak for this ID: operators have revoked either, the ID has another key, or another node has the
 *  key. Undefined if it may. */
export function mismatchOf(
  membership: Membership,
  record: NodeRecord,
  digest: Digest,
): 'revoked' | 'identity_mismatch' | 'key_in_use' | undefined {
  const { id, key } = record;
  if (isRevoked(membership, record, digest)) return 'revoked';
  recognize(membership.pins, id, hex(key), digest);
  const holder = holderOf(membership, id);
  if (holder !== undefined && holder !== hex(key)) return 'identity_mismatch';
  return otherOf(membership, id, key) === undefined ? undefined : 'key_in_use';
}

/** A node said goodbye; it is gone until it starts again. False if that is no news. */
export function leave(membership: Membership, id: string, epoch: number): boolean {
  const known = membership.members.get(id);
  if (known === undefined || known.record.epoch > epoch) return false;
  retire(membership, id, known, epoch);
  return true;
}

/** A node fell silent; it is gone until it is heard of again. */
export function forget(membership: Membership, id: string): void {
  const known = membership.members.get(id);
  if (known !== undefined) retire(membership, id, known, -1);
}

/** Drops all records of `id`, because another key has it now. */
export function expel({ members, byKey, former }: Membership, id: string): void {
  const known = members.get(id);
  if (known !== undefined) byKey.delete(hex(known.record.key));
  members.delete(id);
  former.delete(id);
}

/** Signs our record anew with another epoch. */
export function changeEpoch(membership: Membership, epoch: number, env: Environment): void {
  membership.self = { ...membership.self, epoch };
  membership.selfSigned = sign(membership.self, env);
}

/** Eight bytes of a hash over all known nodes and their epochs, our own included. */
export function membersDigest(membership: Membership, env: Environment): Uint8Array {
  const lines = [`${membership.self.id} ${membership.self.epoch}`];
  for (const { record } of membership.members.values()) lines.push(`${record.id} ${record.epoch}`);
  return env.digest(new TextEncoder().encode(lines.sort().join('\n'))).slice(0, 8);
}

/** The entry to tell others, or undefined for a node that is not known. */
export function entryOf(membership: Membership, id: string, now: number): MemberEntry | undefined {
  if (id === membership.self.id) return { ...membership.selfSigned, age: 0 };
  const member = membership.members.get(id);
  if (member === undefined) return undefined;
  return { ...member.signed, age: Math.max(0, Math.round(now - member.heardAt)) };
}

/** The newest record that we have of a node, member or not. */
export function newestOf(membership: Membership, id: string, now: number): MemberEntry | undefined {
  const newest = membership.members.get(id) ?? membership.former.get(id);
  return newest && { ...newest.signed, age: Math.max(0, Math.round(now - newest.heardAt)) };
}

/** The record, without verifying its signature; undefined for bytes that are no record. */
export function readRecord(signed: SignedRecord): NodeRecord | undefined {
  try {
    return parse(nodeRecord, signed.record);
  } catch {
    return undefined;
  }
}

export function isSigned(record: NodeRecord, signed: SignedRecord, env: Environment): boolean {
  return env.verify(record.key, prefixed(domain.record, signed.record), signed.signature);
}

function sign(self: NodeRecord, env: Environment): SignedRecord {
  const record = encode(self);
  return { record, signature: env.sign(prefixed(domain.record, record)) };
}

/** Makes a member a former one. Of too many former ones, the one known for the shortest time is dropped, so that nodes
 *  invented to push others out would have to stay longer than those did. */
function retire(
  membership: Membership,
  id: string,
  { record, signed, heardAt, since }: Member,
  left: number,
) {
  const { members, byKey, former } = membership;
  members.delete(id);
  byKey.delete(hex(record.key));
  former.set(id, { record, signed, heardAt, left, stay: heardAt - since });
  if (former.size <= maxMembers) return;
  let shortest = id;
  for (const [each, { stay }] of former) if (stay < former.get(shortest)!.stay) shortest = each;
  former.delete(shortest);
}

/** Whether one more node is taken in. If all room is taken, an unproven node of the neighbor that told of most of these
 *  makes room: the one learned last. */
function hasRoom(membership: Membership, id: string, teller: string): boolean {
  const { members, pins } = membership;
  if (members.size < maxIntroduced) return true;
  const told = new Map<string, string[]>();
  for (const [each, { introducer }] of members) {
    if (pinOf(pins, each) !== undefined) continue;
    const list = told.get(introducer);
    if (list === undefined) told.set(introducer, [each]);
    else list.push(each);
  }
  const share = pinOf(pins, id) === undefined ? (told.get(teller)?.length ?? 0) : -1;
  if (share >= maxIntroduced) return false;
  if (members.size < maxMembers) return true;
  const [most] = [...told.values()].sort((a, b) => b.length - a.length);
  if (most === undefined || most.length <= share + 1) return false;
  forget(membership, most.at(-1)!);
  return true;
}

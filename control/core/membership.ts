/**
 * Who is in the mesh. Every node signs one record of itself; nodes pass records on together with how long ago
 * somebody last heard of that node, so that a dead one grows old everywhere at the same time and nobody keeps it
 * alive by hearsay.
 *
 *              learn (record, age)
 *   unknown ────────────────────────► known ──── heard of: heardAt moves forward
 *      ▲                                │
 *      └── forgotten: not heard of for `forgetAfter` ──┤
 *      └── left: said goodbye; this epoch stays gone ──┘
 */
import { encode } from '../../protocol/msgpack.ts';
import { parse } from '../../protocol/schema.ts';
import {
  domain,
  type MemberEntry,
  type NodeRecord,
  nodeRecord,
  type SignedRecord,
} from '../../protocol/signaling.ts';
import { type Environment, hex, prefixed } from './environment.ts';

/** Nodes kept at most; records of more are refused. */
const maxMembers = 4096;

/** Identities kept at most: they outlive their nodes. */
const maxPins = 65_536;

interface Member {
  readonly record: NodeRecord;
  readonly signed: SignedRecord;
  heardAt: number;
}

export interface Membership {
  readonly self: NodeRecord;
  readonly selfSigned: SignedRecord;
  readonly members: Map<string, Member>;
  /** Epoch with which a node said goodbye. */
  readonly left: Map<string, number>;
  /** Which key may speak for an ID: hexadecimal, from first use. */
  readonly pins: Map<string, string>;
  /** IDs for which another key than the pinned one was offered. */
  readonly conflicts: Map<string, string>;
  /** Milliseconds. */
  readonly forgetAfter: number;
}

export type Learned = 'new' | 'newer' | 'known' | 'stale' | 'conflict' | 'forged' | 'full';

export function newMembership(
  self: NodeRecord,
  pins: ReadonlyMap<string, string>,
  forgetAfter: number,
  env: Environment,
): Membership {
  const record = encode(self);
  const selfSigned = { record, signature: env.sign(prefixed(domain.record, record)) };
  return {
    self,
    selfSigned,
    members: new Map(),
    left: new Map(),
    pins: new Map(pins),
    conflicts: new Map(),
    forgetAfter,
  };
}

/** Takes in one record heard `age` milliseconds ago. Only `new` and `newer` change what the digest covers. */
export function learn(
  membership: Membership,
  signed: SignedRecord,
  age: number,
  env: Environment,
): { outcome: Learned; id: string } {
  const record = readRecord(signed);
  if (record === undefined) return { outcome: 'forged', id: '' };
  const { id, epoch } = record;
  const key = hex(record.key);
  if (id === membership.self.id) {
    return { outcome: key === hex(membership.self.key) ? 'known' : 'conflict', id };
  }
  const known = membership.members.get(id);
  const heardAt = env.now - age;
  if (known !== undefined && known.record.epoch === epoch && hex(known.record.key) === key) {
    if (heardAt > known.heardAt) known.heardAt = heardAt;
    return { outcome: 'known', id };
  }
  if (known !== undefined && known.record.epoch > epoch) return { outcome: 'stale', id };
  if (age >= membership.forgetAfter || epoch <= (membership.left.get(id) ?? -1))
    return { outcome: 'stale', id };
  if (!isSigned(record, signed, env)) return { outcome: 'forged', id };
  const pinned = membership.pins.get(id);
  if (pinned !== undefined && pinned !== key) {
    const repeated = membership.conflicts.get(id) === key;
    if (membership.conflicts.size < maxMembers) membership.conflicts.set(id, key);
    return { outcome: repeated ? 'stale' : 'conflict', id };
  }
  const crowded =
    membership.members.size >= maxMembers || (pinned === undefined && membership.pins.size >= maxPins);
  if (known === undefined && crowded) return { outcome: 'full', id };
  membership.pins.set(id, key);
  membership.members.set(id, { record, signed, heardAt });
  return { outcome: known === undefined ? 'new' : 'newer', id };
}

/** A node said goodbye: gone until it starts again. False where that is no news. */
export function leave(membership: Membership, id: string, epoch: number): boolean {
  const known = membership.members.get(id);
  if (known === undefined || known.record.epoch > epoch) return false;
  membership.members.delete(id);
  if (membership.left.size >= maxMembers) membership.left.clear();
  membership.left.set(id, epoch);
  return true;
}

/** Eight bytes that are equal on two nodes exactly when both know the same nodes in the same epochs. */
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

/** Undefined for bytes that are no record; its signature is not looked at. */
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

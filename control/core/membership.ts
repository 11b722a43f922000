/**
 * Who is in the mesh. Every node signs one record of itself; nodes pass records on together with how long ago
 * somebody last heard of that node, so that a dead one grows old everywhere at the same time and nobody keeps it
 * alive by hearsay.
 *
 *              learn (record, age)
 *   unknown ────────────────────────► known ──── heard of: heardAt moves forward
 *                                     ▲    │
 *          a later start, or the same │    │ forgotten: not heard of for `forgetAfter`
 *          where it was only silent   │    │ left: said goodbye; this epoch stays gone
 *                                     │    ▼
 *                                     former: its last record is kept, to show it to a start of an earlier epoch
 */
import { encode } from '../../protocol/msgpack.ts';
import { lastEpoch, parse } from '../../protocol/schema.ts';
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
  /** When it was heard of first. */
  readonly since: number;
}

/** What is kept of a node that is gone. */
interface Former {
  readonly record: NodeRecord;
  readonly signed: SignedRecord;
  readonly heardAt: number;
  /** Epoch with which it said goodbye; -1 where it only fell silent. */
  readonly left: number;
  /** Milliseconds that it was known. */
  readonly stay: number;
}

export interface Membership {
  self: NodeRecord;
  selfSigned: SignedRecord;
  readonly members: Map<string, Member>;
  readonly former: Map<string, Former>;
  /** Which key may speak for an ID: hexadecimal, from first use. */
  readonly pins: Map<string, string>;
  /** IDs for which another key than the pinned one was offered. */
  readonly conflicts: Map<string, string>;
  /** Milliseconds. */
  readonly forgetAfter: number;
}

export type Learned =
  | 'new'
  | 'newer'
  | 'known'
  /** Too old, or of a node that said goodbye. */
  | 'stale'
  /** Of an earlier epoch than the record that we have. Its signature was not looked at. */
  | 'behind'
  /** Too old, but of a later epoch than the one that we hear. Its signature was not looked at. */
  | 'past'
  /** Our own, of a later epoch than ours. */
  | 'ahead'
  | 'conflict'
  | 'forged'
  | 'full';

export function newMembership(
  self: NodeRecord,
  pins: ReadonlyMap<string, string>,
  forgetAfter: number,
  env: Environment,
): Membership {
  return {
    self,
    selfSigned: sign(self, env),
    members: new Map(),
    former: new Map(),
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
    if (key !== hex(membership.self.key)) {
      return { outcome: isSigned(record, signed, env) ? 'conflict' : 'forged', id };
    }
    if (epoch <= membership.self.epoch || epoch >= lastEpoch) return { outcome: 'known', id };
    return { outcome: isSigned(record, signed, env) ? 'ahead' : 'forged', id };
  }
  const known = membership.members.get(id);
  const heardAt = env.now - age;
  if (known !== undefined && known.record.epoch === epoch && hex(known.record.key) === key) {
    if (heardAt > known.heardAt) known.heardAt = heardAt;
    return { outcome: 'known', id };
  }
  const former = membership.former.get(id);
  const newest = known ?? former;
  const isSame = newest !== undefined && hex(newest.record.key) === key;
  if (isSame && newest.record.epoch > epoch) return { outcome: 'behind', id };
  if (known !== undefined && known.record.epoch > epoch) return { outcome: 'stale', id };
  if (age >= membership.forgetAfter || epoch <= (former?.left ?? -1)) {
    return { outcome: isSame && known !== undefined ? 'past' : 'stale', id };
  }
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
  membership.former.delete(id);
  membership.members.set(id, {
    record,
    signed,
    heardAt,
    since: known?.since ?? heardAt - (former?.stay ?? 0),
  });
  return { outcome: known === undefined ? 'new' : 'newer', id };
}

/** A node said goodbye: gone until it starts again. False where that is no news. */
export function leave(membership: Membership, id: string, epoch: number): boolean {
  const known = membership.members.get(id);
  if (known === undefined || known.record.epoch > epoch) return false;
  retire(membership, id, known, epoch);
  return true;
}

/** A node fell silent: gone until it is heard of again. */
export function forget(membership: Membership, id: string): void {
  const known = membership.members.get(id);
  if (known !== undefined) retire(membership, id, known, -1);
}

/** We are the same node in another epoch. */
export function changeEpoch(membership: Membership, epoch: number, env: Environment): void {
  membership.self = { ...membership.self, epoch };
  membership.selfSigned = sign(membership.self, env);
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

/** The newest record that we have of a node, member or not. */
export function newestOf(membership: Membership, id: string, now: number): MemberEntry | undefined {
  const newest = membership.members.get(id) ?? membership.former.get(id);
  return newest && { ...newest.signed, age: Math.max(0, Math.round(now - newest.heardAt)) };
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

function sign(self: NodeRecord, env: Environment): SignedRecord {
  const record = encode(self);
  return { record, signature: env.sign(prefixed(domain.record, record)) };
}

/** Where there are too many, who was known for the shortest time gives way: who comes only to push others out has to
 *  stay for longer than they did. */
function retire(
  membership: Membership,
  id: string,
  { record, signed, heardAt, since }: Member,
  left: number,
) {
  const { members, former } = membership;
  members.delete(id);
  former.set(id, { record, signed, heardAt, left, stay: heardAt - since });
  if (former.size <= maxMembers) return;
  let shortest = id;
  for (const [each, { stay }] of former) if (stay < former.get(shortest)!.stay) shortest = each;
  former.delete(shortest);
}

/** By a member that is a neighbor by WebSocket. */
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { signWith } from '../../../control/io/crypto.ts';
import { newOfferKeys } from '../../../dataplane/io/link-keys.ts';
import { encodeCarried } from '../../../protocol/carried.ts';
import type { Hello } from '../../../protocol/handshake.ts';
import type { LinkKeys } from '../../../protocol/keys.ts';
import { encode } from '../../../protocol/msgpack.ts';
import { everyone, type NeighborMessage, type SignedRecord } from '../../../protocol/signaling.ts';
import type { SignedStatement } from '../../../protocol/statement.ts';
import { newIdentity } from '../../identity.ts';
import { signedFlood, signedRecord } from '../forgery.ts';
import { Member, type Way } from '../member.ts';
import { HostilePeer } from '../peer.ts';
import { type After, type Attack, type Counter, type Site, urlOf } from './attack.ts';

/** The year 2200. */
const future = Date.UTC(2200);

/** Bytes of the longest body, about. */
const longest = 32_000;

/** It goes on until it is undone. */
export const forgedFloods = 'forged floods every 3 ms';

const invented = 1000;
/** More of these than are answered in ten seconds. */
const offering = 400;
const sockets = 500;
const socketsAtOnce = 50;

interface Neighbor {
  readonly site: Site;
  readonly member: Member;
  readonly way: Way;
}

/** Joins by an ID and a key that nobody has met, as every attack does, and introduces itself. */
export async function joinAsMember(site: Site, after: After, id?: string): Promise<Neighbor> {
  const member = new Member(id ?? `mallory-${randomBytes(4).toString('hex')}`, site.token);
  const way = await member.join(urlOf(site));
  way.say(membersOf(member.record()));
  after(() => {
    way.say(member.flood(everyone, 0, { kind: 'bye' }));
    way.close();
  });
  return { site, member, way };
}

function byNeighbor(what: string, counter: Counter, act: (neighbor: Neighbor) => Promise<void>): Attack {
  return { what, counter, run: async (site, after) => act(await joinAsMember(site, after)) };
}

function membersOf(...records: readonly SignedRecord[]): NeighborMessage {
  return { type: 'members', entries: records.map((record) => ({ ...record, age: 0 })) };
}

/** Tries to join so often, `atOnce` at a time. Resolves with the ways of those that were let in. */
async function joinAll(count: number, atOnce: number, join: (i: number) => Promise<Way>): Promise<Way[]> {
  const ways: Way[] = [];
  let begun = 0;
  const some = async () => {
    while (begun < count) {
      const way = await join(begun++).catch(() => undefined);
      if (way !== undefined) ways.push(way);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, some));
  return ways;
}

export const neighbors: readonly Attack[] = [
  byNeighbor('one key for ten thousand IDs, told', ['neighbors', 'key_in_use'], async ({ member, way }) => {
    await way.pour(100, (count) =>
      membersOf(...Array.from({ length: 100 }, (_, i) => member.record(`many-${100 * count + i}`))),
    );
  }),
  byNeighbor('one key for fifty IDs, proved', ['refused', 'key_in_use'], async ({ site, member }) => {
    await joinAll(50, 5, (i) => member.join(urlOf(site), { id: `many-${i}` }));
  }),
  byNeighbor(
    'another node’s ID with epochs of the year 2200, told',
    ['neighbors', 'identity_mismatch'],
    async ({ site, member, way }) => {
      await way.pour(1000, (count) => membersOf(member.record(site.other, future + count)));
    },
  ),
  byNeighbor(
    'another node’s ID with an epoch of the year 2200, proved',
    ['refused', 'identity_mismatch'],
    async ({ site, member }) => {
      await joinAll(50, 5, () => member.join(urlOf(site), { id: site.other, epoch: future }));
    },
  ),
  byNeighbor(
    'records of the victim’s ID that nobody signed',
    ['neighbors', 'forged'],
    async ({ site, member, way }) => {
      const { key, epoch } = member;
      const record = signedRecord({ id: site.victim.id, key, epoch, turn: false });
      await way.pour(100, () => membersOf(...new Array<SignedRecord>(100).fill(record)));
    },
  ),
  byNeighbor(
    'records of the victim’s ID by another key',
    ['neighbors', 'id_in_use'],
    async ({ site, member, way }) => {
      const record = member.record(site.victim.id);
      await way.pour(500, () => membersOf(...new Array<SignedRecord>(100).fill(record)));
    },
  ),
  {
    ...{ what: forgedFloods, counter: ['neighbors', 'forged'] },
    async run(site, after) {
      const { way } = await joinAsMember(site, after);
      let counter = 1_000_000;
      const timer = setInterval(() => way.say(forged(site, way, { kind: 'solicit', counter: counter++ })), 3);
      after(() => clearInterval(timer));
      await pause(1500);
    },
  },
  byNeighbor('long floods that nobody signed', ['neighbors', 'forged'], async ({ site, way }) => {
    const more = 'm'.repeat(longest);
    await way.pour(400, (counter) => forged(site, way, { kind: 'solicit', counter, more }));
  }),
  byNeighbor('long floods by all ways', ['neighbors', 'copies'], async ({ member, way }) => {
    const more = 'm'.repeat(longest);
    await way.pour(400, () => member.flood(everyone, 0, { kind: 'solicit', wide: true, more }));
  }),
  byNeighbor('packets of links that are not there', ['refused', 'carried'], async ({ way }) => {
    const record = randomBytes(8192);
    await way.repeat(3000, (count) =>
      way.carry(encodeCarried({ negotiation: `made-up-${count % 7}`, channel: 'data', record })),
    );
  }),
  byNeighbor('digests of other nodes', ['neighbors', 'alives'], async ({ way }) => {
    await way.pour(3000, () => ({ type: 'alive', digest: new Uint8Array(8), ask: [] }));
  }),
  byNeighbor(
    'statements that no operator signed, some of them in its name',
    ['neighbors', 'forged'],
    async ({ site, member, way }) => {
      await way.pour(400, (count) => {
        const operators = [Buffer.from(site.operator, 'hex'), member.key];
        const statements = Array.from({ length: 32 }, (_, i) =>
          revocation(site, operators[i % 2]!, 32 * count + i),
        );
        return { type: 'members', entries: [], statements };
      });
    },
  ),
  byNeighbor('digests of other statements', ['neighbors', 'statements'], async ({ site, way }) => {
    const operator = new Uint8Array(Buffer.from(site.operator, 'hex').subarray(0, 8));
    await way.pour(1000, (count) => ({
      type: 'members',
      entries: [],
      statementDigests: [{ operator, digest: new Uint8Array(8).fill(count) }],
    }));
  }),
  byNeighbor('starts without end', ['neighbors', 'starts'], async ({ member, way }) => {
    await way.pour(2000, (count) => membersOf(member.record(member.id, member.epoch + count)));
  }),
  byNeighbor(
    'five hundred WebSockets of one ID',
    ['refused', 'already_connected'],
    async ({ site, member, way }) => {
      const more = await joinAll(sockets, socketsAtOnce, () => member.join(urlOf(site)));
      // One that does not answer a ping in time makes way for the next.
      const open = [way, ...more].filter(({ isOver }) => !isOver);
      for (const each of more) each.close();
      if (open.length > 1) throw new Error(`${open.length} are open`);
    },
  ),
  byNeighbor(
    'a thousand invented nodes, hundreds of which offer links',
    ['neighbors', 'answers'],
    async ({ way }) => {
      const peer = new HostilePeer();
      const { keys } = newOfferKeys({ index: 1, udp: true });
      for (let i = 0; i < invented; i++) {
        const [record, offer] = introduced(`invented-${i}`, way.node, { sdp: peer.offer, keys });
        way.say(record);
        if (i < offering) way.say(offer);
        if (i % 16 === 0) await pause(1);
      }
      peer.close();
    },
  ),
];

/** A node that nobody runs: its record, and an offer of a link that is as good as any. */
function introduced(
  id: string,
  { id: to, epoch: toEpoch }: Hello,
  description: { readonly sdp: string; readonly keys: LinkKeys },
): [NeighborMessage, NeighborMessage] {
  const identity = newIdentity();
  const sign = (message: Uint8Array) => signWith(identity, message);
  const epoch = Date.now();
  const sender = signedRecord({ id, key: identity.publicKey, epoch, turn: false }, sign);
  const offer = { kind: 'offer', negotiation: 'x', route: 'shared', ...description };
  const body = { epoch, toEpoch, counter: 1, ...offer };
  return [membersOf(sender), signedFlood({ from: id, to, sign, sender, body })];
}

/** Of the other node, by an operator who has not signed it. */
function revocation({ other }: Site, operator: Uint8Array, count: number): SignedStatement {
  const statement = encode({ kind: 'revoke', subject: other, time: Date.now() + count, operator });
  return { statement, signature: new Uint8Array(randomBytes(64)) };
}

/** In the other node's name, to everyone. */
function forged({ other }: Site, way: Way, body: Readonly<Record<string, unknown>>) {
  return signedFlood({
    from: other,
    to: everyone,
    body: { epoch: way.epochs.get(other) ?? 0, toEpoch: 0, ...body },
  });
}

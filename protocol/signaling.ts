/**
 * What neighbors say to each other, over a WebSocket or a link's `signal` datachannel. A message is one MessagePack map:
 *
 *   alive    "I am here, and this is the digest of the nodes I know". `ask` lists nodes that the sender has not heard of
 *            lately, and of which it wants to know more
 *   members  signed records of nodes, each with its age: milliseconds since somebody heard of that node; and statements of
 *            operators (`statement.ts`)
 *   flood    a signed body on its way to one node, or to all (`to` is "*")
 *
 * The signature of a flood covers `domain.body` and the bytes of `body`. Fields are only added, and optional.
 */
import * as z from 'zod/mini';
import { answerKeys, type LinkKeys, offerKeys } from './keys.ts';
import { linkView } from './link-view.ts';
import { bytes, candidateLine, epoch, negotiationId, nodeId, route, sdp } from './schema.ts';
import { signedStatement, statementDigests, statementsPerMessage } from './statement.ts';

/** Signatures and MACs start with one of these, so that none can stand for another. */
export const domain = {
  record: 'cryonet.2 record\0',
  body: 'cryonet.2 body\0',
  statement: 'cryonet.2 statement\0',
  clientProof: 'cryonet.2 client\0',
  serverProof: 'cryonet.2 server\0',
  clientRefusal: 'cryonet.2 client refuses\0',
  serverRefusal: 'cryonet.2 server refuses\0',
  inviteeProof: 'cryonet.2 invitee\0',
  inviterProof: 'cryonet.2 inviter\0',
  inviteeRefusal: 'cryonet.2 invitee refuses\0',
  inviterRefusal: 'cryonet.2 inviter refuses\0',
  tokenTag: 'cryonet.2 token tag\0',
} as const;

const identityKey = bytes(32, 32);
const signature = bytes(64, 64);

/** What a node says of itself, signed by its identity key. */
export const nodeRecord = z.object({
  id: nodeId,
  key: identityKey,
  epoch,
  /** It has a TURN server, and so can offer a relayed connection. */
  turn: z.boolean(),
});

const signedRecord = z.object({ record: bytes(1, 512), signature });

const memberEntry = z.extend(signedRecord, { age: z.int().check(z.minimum(0)) });

/** Entries in one `members` message, and IDs in `ask`. Longer lists of members are sent in parts. */
export const membersPerMessage = 256;

/** Bytes of records in one `members` message. With signatures and ages it is one message of a datachannel then, which has
 *  65,536 bytes at most, also where somebody made records as long as they may be. */
export const recordBytesPerMessage = 32_768;

const aliveMessage = z.object({
  type: z.literal('alive'),
  digest: bytes(8, 8),
  ask: z.array(nodeId).check(z.maxLength(membersPerMessage)),
  statementDigests: z.optional(statementDigests),
});

const membersMessage = z.object({
  type: z.literal('members'),
  entries: z.array(memberEntry).check(z.maxLength(membersPerMessage)),
  /** In the first to a new neighbor. */
  statementDigests: z.optional(statementDigests),
  statements: z.optional(z.array(signedStatement).check(z.maxLength(statementsPerMessage))),
});

export const everyone = '*';

export const floodMessage = z.object({
  type: z.literal('flood'),
  from: nodeId,
  to: z.union([nodeId, z.literal(everyone)]),
  ttl: z.int().check(z.minimum(0), z.maximum(64)),
  body: bytes(1, 32_768),
  signature,
  /** The sender's record, which the receiver may not know yet. */
  sender: z.optional(signedRecord),
});

export const neighborMessage = z.discriminatedUnion('type', [aliveMessage, membersMessage, floodMessage]);

/** Bytes of the largest frame between neighbors. */
export const maxNeighborFrame = 262_144;

const common = {
  from: nodeId,
  to: z.union([nodeId, z.literal(everyone)]),
  /** The sender's epoch. */
  epoch,
  /** The receiver's epoch as the sender knows it; 0 to everyone. A body for an earlier start is dropped. */
  toEpoch: epoch,
  /** Counts the sender's bodies of this epoch from 1; each is accepted once. */
  counter: z.int().check(z.minimum(1)),
  /** This body and its replies go to all neighbors at each node, because nothing came back by the known next hop. */
  wide: z.optional(z.boolean()),
};

/** Characters of `detail`. */
export const maxDetail = 200;

/** Why the sender's last attempt failed, or why it lost the link, in the words of its dataplane. */
const detail = z.optional(z.string().check(z.maxLength(maxDetail)));

export const body = z.discriminatedUnion('kind', [
  z.object({
    ...common,
    kind: z.literal('offer'),
    negotiation: negotiationId,
    route,
    sdp,
    keys: offerKeys,
    /** The negotiation of the relayed connection that this one replaces. That one stays until this one is open. */
    replaces: z.optional(negotiationId),
    detail,
  }),
  z.object({ ...common, kind: z.literal('answer'), negotiation: negotiationId, sdp, keys: answerKeys }),
  z.object({
    ...common,
    kind: z.literal('candidate'),
    negotiation: negotiationId,
    candidates: z.array(candidateLine).check(z.minLength(1), z.maxLength(32)),
  }),
  z.object({
    ...common,
    kind: z.literal('reject'),
    /** Missing in the reply to a solicit, and where the offerer could not make its offer. */
    negotiation: z.optional(negotiationId),
    reason: z.enum(['denied', 'failed', 'identity']),
    /** With `identity`: the key that the sender knows for the receiver's ID; missing if another node has the receiver's
     *  key. */
    key: z.optional(identityKey),
    detail,
  }),
  /** "I have no link with you; offer one", from the side that does not offer. With `replaces`: "offer a connection that
   *  replaces this one". */
  z.object({ ...common, kind: z.literal('solicit'), replaces: z.optional(negotiationId), detail }),
  /** "What do you see of our link?" Older nodes do not answer. */
  z.object({ ...common, kind: z.literal('explain'), number: z.int().check(z.minimum(0)) }),
  /** The answer, to be believed as far as its sender. */
  z.object({
    ...common,
    kind: z.literal('explained'),
    number: z.int().check(z.minimum(0)),
    view: linkView,
  }),
  /** "I am leaving." */
  z.object({ ...common, kind: z.literal('bye') }),
]);

export type NodeRecord = z.infer<typeof nodeRecord>;
export type SignedRecord = z.infer<typeof signedRecord>;
export type MemberEntry = z.infer<typeof memberEntry>;
export type NeighborMessage = z.infer<typeof neighborMessage>;
export type FloodMessage = z.infer<typeof floodMessage>;
export type Body = z.infer<typeof body>;
export type Route = z.infer<typeof route>;

/** How a dataplane describes its end of a connection in an offer or an answer. */
export interface Description {
  readonly sdp: string;
  readonly keys: LinkKeys;
}

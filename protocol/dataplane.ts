/**
 * Control and dataplane over a Unix socket: MessagePack-RPC
 * (https://github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md) in frames of a big-endian u32 length.
 *
 *   request      [0, number, method, params]
 *   response     [1, number, null | {code, message}, result]
 *   notification [2, method, params]
 *
 * `hello` comes first and answers with every link; from then on the dataplane tells of each change. One control at
 * a time: a new one replaces the old.
 */
import * as z from 'zod/mini';
import { answerKeys, offerKeys } from './keys.ts';
import { bytes, candidateLine, epoch, negotiationId, nodeId, route, sdp } from './schema.ts';
import {
  candidatePair,
  counters,
  directStatus,
  dropCounts,
  interfaceStatus,
  lossShare,
  refusedCounts,
  warning,
} from './status.ts';

export const dataplaneVersion = 1;

/** Bytes. A snapshot of 4,000 links fits. */
export const maxRpcFrame = 4_194_304;

const port = z.int().check(z.minimum(0), z.maximum(65_535));

/** An Ed25519 public key, RFC 8032. */
const identity = bytes(32, 32);

const iceServer = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('stun'), host: z.string(), port }),
  z.object({
    kind: z.literal('turn'),
    host: z.string(),
    port,
    user: z.string(),
    credential: z.string(),
    /** Seconds that credentials last which are made of this one, a secret shared with the server; missing: it is one. */
    lifetime: z.optional(z.int().check(z.minimum(1))),
  }),
]);

const interfaceGlob = z.string().check(z.minLength(1), z.maxLength(64));

const dataplaneConfig = z.object({
  node: nodeId,
  interfacePrefix: z.string(),
  autoInterfaceName: z.boolean(),
  packetInformation: z.boolean(),
  /** Our own. */
  identity,
  /** Bytes of the largest packet on an interface, without packet information; with `autoMtu` the upper limit. */
  mtu: z.int().check(z.minimum(1280), z.maximum(65_531)),
  /** An interface starts at 1280 and follows what its path carries. */
  autoMtu: z.boolean(),
  /** Null: 2333 where it is free, else any. */
  udpPort: z.nullable(port),
  /** SO_MARK of the UDP sockets; 0: none. */
  fwmark: z.int().check(z.minimum(0), z.maximum(0xffff_ffff)),
  /** DSCP of records, or 'copy': that of each packet; missing: 0. */
  dscp: z.optional(z.union([z.int().check(z.minimum(0), z.maximum(63)), z.literal('copy')])),
  /** Whether packets may take the direct path. */
  direct: z.boolean(),
  /** Threads each way for the direct path. */
  workers: z.int().check(z.minimum(1), z.maximum(16)),
  /** False: records of the direct path never leave together. */
  segmentation: z.optional(z.boolean()),
  /** Globs over names: addresses of these interfaces alone are told to peers; none: of all. */
  interfaces: z.optional(z.array(interfaceGlob).check(z.maxLength(64))),
  /** Wins over `interfaces`. */
  excludeInterfaces: z.optional(z.array(interfaceGlob).check(z.maxLength(64))),
});

const linkReport = z.object({
  peer: nodeId,
  state: z.enum(['connecting', 'up', 'lost']),
  reason: z.string(),
  /** The negotiation that carries the packets; null unless up. */
  active: z.nullable(negotiationId),
  /** Every connection there is, the active one included. */
  connections: z.array(z.object({ negotiation: negotiationId, route, open: z.boolean() })),
  path: z.nullable(z.enum(['direct', 'datachannel'])),
  direct: z.optional(directStatus),
  pair: z.nullable(candidatePair),
  interface: z.nullable(interfaceStatus),
});

/** Null: not measured yet. */
export const linkStats = z.object({
  peer: nodeId,
  rtt: z.nullable(z.number()),
  minRtt: z.optional(z.nullable(z.number())),
  loss: z.optional(z.nullable(lossShare)),
  pathMtu: z.optional(z.nullable(z.int())),
  counters,
  dropped: z.optional(dropCounts),
  /** Both ends of the path in use at this moment: a peer that moves is not reported each time. */
  pair: z.optional(z.nullable(candidatePair)),
});

const helloReply = z.object({
  version: z.int(),
  pid: z.int(),
  /** It was started by a control and ends when that does. */
  child: z.boolean(),
  engine: z.string(),
  udpPort: port,
  /** The port that was asked for was taken. */
  portTaken: z.boolean(),
  links: z.array(linkReport),
  warnings: z.optional(z.array(warning)),
});

const attempt = { peer: nodeId, negotiation: negotiationId };
/** What a new connection needs; `identity` is the peer's. */
const beginning = {
  ...attempt,
  identity,
  route,
  iceServers: z.array(iceServer),
  /** The connection of the same route, relayed, that stays until it is closed. */
  replaces: z.optional(negotiationId),
  /** The first name of its interface is that of another peer, which came before: it is given the second. */
  displaced: z.optional(z.boolean()),
};
/** Of both nodes, as they sign what they say of this negotiation. */
const epochs = z.object({ ours: epoch, theirs: epoch });
const nothing = z.object({});

/** Requests: control asks, the dataplane answers. */
export const requests = {
  /** Another configuration than the one in force closes every link first. */
  hello: { params: z.object({ version: z.int(), config: dataplaneConfig }), result: helloReply },
  offer: { params: z.object(beginning), result: z.object({ sdp, keys: offerKeys }) },
  /** A connection of the same route is closed first, unless it is to be replaced. */
  answer: {
    params: z.object({ ...beginning, sdp, keys: offerKeys, epochs }),
    result: z.object({ sdp, keys: answerKeys }),
  },
  accept: { params: z.object({ ...attempt, sdp, keys: answerKeys, epochs }), result: nothing },
  /** Closes one connection; the link and its interface stay. */
  close: { params: z.object(attempt), result: nothing },
  /** Closes the link: its interface goes. */
  remove: { params: z.object({ peer: nodeId }), result: nothing },
  stats: {
    params: nothing,
    result: z.object({ links: z.array(linkStats), refused: z.optional(refusedCounts) }),
  },
  /** Closes everything; the process ends. */
  shutdown: { params: nothing, result: nothing },
} as const;

/** Notifications, both ways. */
export const notifications = {
  /** A candidate: ours from the dataplane, the peer's from control. */
  candidate: z.object({ ...attempt, candidate: candidateLine }),
  /** A frame on a link's `signal` datachannel. */
  signal: z.object({ peer: nodeId, frame: z.custom<Uint8Array>((value) => value instanceof Uint8Array) }),
  /** From the dataplane: a link changed. */
  link: linkReport,
  /** From the dataplane: a connection ended before or after it was open. */
  ended: z.object({ ...attempt, route, reason: z.string() }),
  /** From the dataplane: the peer's dataplane says that its node stops. */
  bye: z.object({ peer: nodeId }),
  /** From the dataplane: all its warnings, after each change. */
  warnings: z.object({ warnings: z.array(warning) }),
} as const;

export type Method = keyof typeof requests;
export type Params<M extends Method> = z.infer<(typeof requests)[M]['params']>;
export type Result<M extends Method> = z.infer<(typeof requests)[M]['result']>;
export type Notification = keyof typeof notifications;
export type NotificationParams<N extends Notification> = z.infer<(typeof notifications)[N]>;
export type DataplaneConfig = z.infer<typeof dataplaneConfig>;
export type LinkReport = z.infer<typeof linkReport>;
export type HelloReply = z.infer<typeof helloReply>;
export type IceServer = z.infer<typeof iceServer>;

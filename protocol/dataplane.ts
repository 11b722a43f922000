/**
 * Control and dataplane over a Unix socket: MessagePack-RPC
 * (https://github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md) in frames of a big-endian u32 length.
 *
 *   request      [0, number, method, params]
 *   response     [1, number, null | {code, message}, result]
 *   notification [2, method, params]
 *
 * Control sends `hello` first; the reply lists every link, and from then on the dataplane reports each change. A
 * dataplane serves one control at a time: a new one replaces the old one.
 */
import * as z from 'zod/mini';
import { carriedChannels } from './carried.ts';
import { answerKeys, offerKeys } from './keys.ts';
import { logLevels } from './log-level.ts';
import { maxNetcheckServers, netcheck } from './netcheck.ts';
import { processFigures } from './process-figures.ts';
import { bytes, candidateLine, epoch, linkPath, mtu, negotiationId, nodeId, route, sdp } from './schema.ts';
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

/** Both are asked over UDP. */
const iceServer = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('stun'), host: z.string(), port }),
  z.object({
    kind: z.literal('turn'),
    host: z.string(),
    port,
    user: z.string(),
    credential: z.string(),
    /** Present: `credential` is a secret shared with the server, from which credentials are made that last so many
     *  seconds. Missing: `credential` is used as it is. */
    lifetime: z.optional(z.int().check(z.minimum(1))),
  }),
]);

const interfaceGlob = z.string().check(z.minLength(1), z.maxLength(64));

const dataplaneConfig = z.object({
  node: nodeId,
  interfacePrefix: z.string(),
  autoInterfaceName: z.boolean(),
  packetInformation: z.boolean(),
  /** Of this node. */
  identity,
  /** MTU of the interfaces in bytes, packet information not included; with `autoMtu` the upper limit. */
  mtu,
  /** The MTU starts at 1280 and follows what the path carries. */
  autoMtu: z.boolean(),
  /** Null: 2333 if it is free, else any port. */
  udpPort: z.nullable(port),
  /** SO_MARK of the UDP sockets; 0 is none. */
  fwmark: z.int().check(z.minimum(0), z.maximum(0xffff_ffff)),
  /** DSCP of records; 'copy' is that of the packet inside; missing is 0. */
  dscp: z.optional(z.union([z.int().check(z.minimum(0), z.maximum(63)), z.literal('copy')])),
  /** Whether packets may take the direct path. */
  direct: z.boolean(),
  /** Native threads of the direct path for each direction. */
  workers: z.int().check(z.minimum(1), z.maximum(16)),
  /** False: each record is sent by a system call of its own, without UDP_SEGMENT. */
  segmentation: z.optional(z.boolean()),
  /** Globs over interface names. Only addresses of these are told to peers; empty or missing: of all. */
  interfaces: z.optional(z.array(interfaceGlob).check(z.maxLength(64))),
  /** Wins over `interfaces`. */
  excludeInterfaces: z.optional(z.array(interfaceGlob).check(z.maxLength(64))),
});

const linkReport = z.object({
  peer: nodeId,
  state: z.enum(['connecting', 'up', 'lost']),
  reason: z.string(),
  /** The negotiation of the connection in use; null where no connection is open, even if a direct path carries packets. */
  active: z.nullable(negotiationId),
  /** All connections, including the active one. */
  connections: z.array(z.object({ negotiation: negotiationId, route, open: z.boolean() })),
  path: z.nullable(linkPath),
  direct: z.optional(directStatus),
  pair: z.nullable(candidatePair),
  interface: z.nullable(interfaceStatus),
});

/** Figures of one link; null where not measured yet. */
export const linkStats = z.object({
  peer: nodeId,
  rtt: z.nullable(z.number()),
  minRtt: z.optional(z.nullable(z.number())),
  loss: z.optional(z.nullable(lossShare)),
  /** Those that `loss` is the share of. */
  probes: z.optional(z.int()),
  pathMtu: z.optional(z.nullable(z.int())),
  counters,
  dropped: z.optional(dropCounts),
  /** The path in use now. Reports do not repeat it each time a peer's address changes. */
  pair: z.optional(z.nullable(candidatePair)),
});

const helloReply = z.object({
  version: z.int(),
  pid: z.int(),
  /** A control started this dataplane, and it ends with its control. */
  child: z.boolean(),
  engine: z.string(),
  udpPort: port,
  /** Another program has the port that was asked for. */
  portTaken: z.boolean(),
  links: z.array(linkReport),
  warnings: z.optional(z.array(warning)),
});

/** What the operator wants of the link with a peer; missing: as the configuration has it for all. */
const linkSettings = z.object({
  /** Of its interface, `address/length`, beside the link-local one. */
  addresses: z.optional(z.array(z.string().check(z.maxLength(64))).check(z.maxLength(64))),
  /** Name of the next interface, before the names that it has otherwise. */
  interface: z.optional(z.string().check(z.minLength(1), z.maxLength(15))),
});

const attempt = { peer: nodeId, negotiation: negotiationId };
/** What a new connection needs. `identity` is the peer's public key. */
const beginning = {
  ...attempt,
  identity,
  route,
  iceServers: z.array(iceServer),
  /** Of the route `websocket`: bits of packets in a second. */
  limit: z.optional(z.int().check(z.minimum(1))),
  /** The relayed connection that this one will replace. It stays open until control closes it. */
  replaces: z.optional(negotiationId),
  /** The peer's interface gets its second name, because an earlier peer has the first. */
  displaced: z.optional(z.boolean()),
};
/** The epochs of both nodes in the bodies that they signed for this negotiation. */
const epochs = z.object({ ours: epoch, theirs: epoch });
const nothing = z.object({});

/** Requests: control asks, the dataplane answers. */
export const requests = {
  /** A configuration that differs from the one in force first closes every link. */
  hello: { params: z.object({ version: z.int(), config: dataplaneConfig }), result: helloReply },
  offer: { params: z.object(beginning), result: z.object({ sdp, keys: offerKeys }) },
  /** Closes a connection of the same route first, unless it is named by `replaces`. */
  answer: {
    params: z.object({ ...beginning, sdp, keys: offerKeys, epochs }),
    result: z.object({ sdp, keys: answerKeys }),
  },
  accept: { params: z.object({ ...attempt, sdp, keys: answerKeys, epochs }), result: nothing },
  /** Closes one connection; the link and its interface stay. */
  close: { params: z.object(attempt), result: nothing },
  /** Closes the link and its interface. */
  remove: { params: z.object({ peer: nodeId }), result: nothing },
  /** Says what is wanted of a link from now on, also one that there is not yet, in place of what was said before: it counts
   *  at once, and until the link is removed. Without it nothing is wanted. Dataplanes of before do not know it, and a
   *  control that wants nothing of them does not ask. */
  adjust: { params: z.object({ peer: nodeId, settings: linkSettings }), result: nothing },
  stats: {
    params: nothing,
    result: z.object({
      links: z.array(linkStats),
      refused: z.optional(refusedCounts),
      process: z.optional(processFigures),
    }),
  },
  /** Asks the peer by the path of its link. `rtt` in milliseconds; null where no answer comes in three seconds. */
  ping: {
    params: z.object({ peer: nodeId }),
    result: z.object({
      rtt: z.nullable(z.number()),
      path: z.nullable(linkPath),
      pair: z.nullable(candidatePair),
    }),
  },
  /** Asks these STUN servers about the machine's networks: ten seconds at most. */
  netcheck: {
    params: z.object({
      servers: z.array(z.object({ host: z.string(), port })).check(z.maxLength(maxNetcheckServers)),
    }),
    result: netcheck,
  },
  /** The least level that is logged from now on; null: as it was started with. */
  'log-level': { params: z.object({ level: z.nullable(z.enum(logLevels)) }), result: nothing },
  /** Closes everything; the process ends. */
  shutdown: { params: nothing, result: nothing },
} as const;

/** Notifications. Without another word they go from the dataplane to control. */
export const notifications = {
  /** Both ways: our candidate from the dataplane, a peer's candidate from control. */
  candidate: z.object({ ...attempt, candidate: candidateLine }),
  /** Both ways: a frame received from, or to be sent on, a link's `signal` datachannel. */
  signal: z.object({ peer: nodeId, frame: z.custom<Uint8Array>((value) => value instanceof Uint8Array) }),
  /** Both ways: a message of a connection by the bootstrap WebSocket, to be sent or received. */
  carried: z.object({
    ...attempt,
    channel: z.enum(carriedChannels),
    record: z.custom<Uint8Array>((value) => value instanceof Uint8Array),
  }),
  /** A link changed. */
  link: linkReport,
  /** A connection ended, whether or not it was ever open. */
  ended: z.object({ ...attempt, route, reason: z.string() }),
  /** The peer's dataplane says that its node stops. */
  bye: z.object({ peer: nodeId }),
  /** All warnings of the dataplane, sent after each change. */
  warnings: z.object({ warnings: z.array(warning) }),
} as const;

export type Method = keyof typeof requests;
export type Params<M extends Method> = z.infer<(typeof requests)[M]['params']>;
export type Result<M extends Method> = z.infer<(typeof requests)[M]['result']>;
export type Notification = keyof typeof notifications;
export type NotificationParams<N extends Notification> = z.infer<(typeof notifications)[N]>;
export type DataplaneConfig = z.infer<typeof dataplaneConfig>;
export type LinkSettings = z.infer<typeof linkSettings>;
export type LinkReport = z.infer<typeof linkReport>;
export type HelloReply = z.infer<typeof helloReply>;
export type IceServer = z.infer<typeof iceServer>;

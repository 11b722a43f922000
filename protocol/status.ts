/** What `GET /status` on the control socket answers and `cryoc status --json` prints. Fields are only added. */
import * as z from 'zod/mini';
import { nodeId } from './schema.ts';

const candidateEnd = z.object({
  type: z.enum(['host', 'srflx', 'prflx', 'relay']),
  address: z.string(),
  port: z.int(),
});

export const candidatePair = z.object({ local: candidateEnd, remote: candidateEnd });

export const interfaceStatus = z.object({
  name: z.string(),
  /** Kernel ifindex; stays the same across reconnects. */
  index: z.int(),
  mtu: z.int(),
  carrier: z.boolean(),
  /** Our IPv6 link-local address on it, empty while it is not there: IPv6 is switched off, or somebody took it away. */
  address: z.string(),
  /** The peer's, which follows from the IDs. */
  peerAddress: z.string(),
});

export const counters = z.object({
  rxPackets: z.int(),
  rxBytes: z.int(),
  txPackets: z.int(),
  txBytes: z.int(),
  /** Packets from the peer that the kernel did not take. */
  rxDropped: z.int(),
  /** Packets from the kernel that no path took. */
  txDropped: z.int(),
});

/** Whether the direct path carries a link's packets; `reason` says in a few words why not, and is empty while `up`. */
export const directStatus = z.object({ state: z.enum(['up', 'trying', 'off']), reason: z.string() });

/** Share of the latest probes that were not answered, from 0 to 1. */
export const lossShare = z.number().check(z.minimum(0), z.maximum(1));

/** Packets dropped since the link is there, by cause. */
export const dropCounts = z.record(z.string(), z.int());

/** What others did and was refused, by cause, since the process started. */
export const refusedCounts = z.record(z.string(), z.int());

export const linkStates = ['idle', 'negotiating', 'connecting', 'up', 'lost', 'denied', 'refused'] as const;

const peerStatus = z.object({
  id: z.string(),
  /** Identity: the Ed25519 public key, base64url. */
  identity: z.string(),
  state: z.enum(linkStates),
  /** Why the state is what it is, where a word more helps; else empty. */
  reason: z.string(),
  /** Why the link is down, as the peer said last; empty where it said nothing. */
  farReason: z.optional(z.string()),
  path: z.nullable(z.enum(['direct', 'datachannel'])),
  /** Null while nothing is known of it. */
  direct: z.optional(z.nullable(directStatus)),
  /** True where the selected pair goes through a TURN server. */
  relayed: z.boolean(),
  pair: z.nullable(candidatePair),
  /** Milliseconds; null until measured. */
  rtt: z.nullable(z.number()),
  /** The least of late; milliseconds; null until measured. */
  minRtt: z.optional(z.nullable(z.number())),
  /** Null until measured. */
  loss: z.optional(z.nullable(lossShare)),
  /** Bytes of the largest IP packet between the nodes that is known to arrive; null until measured. */
  pathMtu: z.optional(z.nullable(z.int())),
  interface: z.nullable(interfaceStatus),
  counters: z.nullable(counters),
  dropped: z.optional(z.nullable(dropCounts)),
  /** Milliseconds since the Unix epoch at which `state` was entered: each try of a link that is down enters some. */
  since: z.int(),
  /** Milliseconds since the Unix epoch at which the link was up last, or first wanted; null while it is up. */
  downSince: z.optional(z.nullable(z.int())),
  /** Which side sends the offers. */
  offerer: z.enum(['self', 'peer']),
});

/** `protocol/warnings.ts` keeps them. */
export const warning = z.object({
  /** A stable short name of what it is about, `listen` for example. */
  subject: z.string().check(z.maxLength(256)),
  /** The peer whose link it is about; null: this node. */
  peer: z.nullable(nodeId),
  /** One line: what is wrong, and what to do. */
  message: z.string().check(z.maxLength(1024)),
  /** Milliseconds since the Unix epoch. */
  since: z.int(),
});

export const statusReport = z.object({
  version: z.string(),
  node: z.object({
    id: z.string(),
    identity: z.string(),
    /** `host:port` of the bootstrap WebSocket. */
    listen: z.string(),
    pid: z.int(),
    /** Seconds since control started. */
    uptime: z.number(),
  }),
  dataplane: z.object({
    connected: z.boolean(),
    pid: z.nullable(z.int()),
    udpPort: z.nullable(z.int()),
    engine: z.nullable(z.string()),
  }),
  /** Configured bootstrap servers. */
  bootstrap: z.array(
    z.object({
      url: z.string(),
      state: z.enum(['connecting', 'connected', 'waiting']),
      id: z.nullable(z.string()),
      error: z.nullable(z.string()),
    }),
  ),
  /** Nodes that can be signaled directly. */
  neighbors: z.array(
    z.object({
      id: z.string(),
      via: z.array(z.enum(['websocket', 'link'])),
      /** What of it was not looked at, or not passed on, by cause; left out where there was nothing. */
      refused: z.optional(refusedCounts),
    }),
  ),
  peers: z.array(peerStatus),
  /** By the dataplane. */
  refused: z.optional(refusedCounts),
  /** What an operator should know, of control and of the dataplane. */
  warnings: z.optional(z.array(warning)),
});

export type StatusReport = z.infer<typeof statusReport>;
export type PeerStatus = z.infer<typeof peerStatus>;
export type Warning = z.infer<typeof warning>;

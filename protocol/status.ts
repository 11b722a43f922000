/**
 * The status of a node, as the control socket tells it and `cryoc status --json` prints it. Fields are only added.
 *
 * Inside, a time is milliseconds since the Unix epoch, and a duration milliseconds unless its name says otherwise.
 * `GET /status` writes them so; `/v1` as `units.ts` has it.
 */
import * as z from 'zod/mini';
import { linkPath, nodeId } from './schema.ts';
import { type Milliseconds, milliseconds, type Units } from './units.ts';

const candidateEnd = z.object({
  type: z.enum(['host', 'srflx', 'prflx', 'relay']),
  address: z.string(),
  /** UDP port. */
  port: z.int(),
});

export const candidatePair = z.object({ local: candidateEnd, remote: candidateEnd });

export const interfaceStatus = z.object({
  name: z.string(),
  /** The kernel's ifindex, which stays the same when the link is connected anew. */
  index: z.int(),
  mtu: z.int(),
  carrier: z.boolean(),
  /** Our IPv6 link-local address on it; empty while IPv6 is switched off or somebody has removed it. */
  address: z.string(),
  /** Our other addresses on it that the configuration wants, those of them that are there. */
  addresses: z.optional(z.array(z.string())),
  /** The peer's link-local address, which follows from the IDs. */
  peerAddress: z.string(),
});

export const counters = z.object({
  rxPackets: z.int(),
  rxBytes: z.int(),
  txPackets: z.int(),
  txBytes: z.int(),
  /** Packets from the peer that the kernel refused. */
  rxDropped: z.int(),
  /** Packets from the kernel that no path carried. */
  txDropped: z.int(),
});

/** Whether the direct path carries a link's packets. `reason` says in a few words why not; it is empty while `up`. */
export const directStatus = z.object({ state: z.enum(['up', 'trying', 'off']), reason: z.string() });

/** Share of the last probes that were not answered, from 0 to 1. */
export const lossShare = z.number().check(z.minimum(0), z.maximum(1));

/** Packets dropped since the link exists, by cause. */
export const dropCounts = z.record(z.string(), z.int());

/** How often something that others did was refused since the process started, by cause. */
export const refusedCounts = z.record(z.string(), z.int());

export const linkStates = ['idle', 'negotiating', 'connecting', 'up', 'lost', 'denied', 'refused'] as const;

export function peerIn<T extends Milliseconds, D extends Milliseconds>(units: Units<T, D>) {
  const { time, timeIfKnown, duration } = units;
  return z.object({
    id: z.string(),
    /** Identity: the Ed25519 public key, base64url; empty where only its fingerprint is known. */
    identity: z.string(),
    /** Of that key, as `fingerprint.ts` has it; missing where no key is known. */
    fingerprint: z.optional(z.string()),
    state: z.enum(linkStates),
    /** Why the link is in this state; empty where there is nothing to add. */
    reason: z.string(),
    /** Why the link is down in the peer's last words; empty if it said nothing. */
    farReason: z.optional(z.string()),
    path: z.nullable(linkPath),
    /** Null while the dataplane has not reported it. */
    direct: z.optional(z.nullable(directStatus)),
    /** Whether the selected pair goes through a TURN server. */
    relayed: z.boolean(),
    pair: z.nullable(candidatePair),
    /** Smoothed round trip time; null until measured. */
    rtt: z.nullable(duration),
    /** Shortest round trip of the last probes; null until measured. */
    minRtt: z.optional(z.nullable(duration)),
    /** Null until measured. */
    loss: z.optional(z.nullable(lossShare)),
    /** Whether the link is up and loses much or is slow (`link.degraded` of `events.ts`). */
    degraded: z.optional(z.boolean()),
    /** Bytes of the largest IP packet between the two nodes that is known to arrive; null until measured. */
    pathMtu: z.optional(z.nullable(z.int())),
    /** For routing daemons (`link-cost.ts`); null while no packets pass. */
    cost: z.optional(z.nullable(z.int())),
    interface: z.nullable(interfaceStatus),
    counters: z.nullable(counters),
    dropped: z.optional(z.nullable(dropCounts)),
    /** When `state` was entered. Each try of a link that is down changes its state. */
    since: timeIfKnown,
    /** When the link was last up or, if never, first wanted; null while it is up. */
    downSince: z.optional(z.nullable(time)),
    /** Which side sends the offers. */
    offerer: z.enum(['self', 'peer']),
  });
}

/** What came of one question to a peer. */
export function pongIn<T extends Milliseconds, D extends Milliseconds>({ duration }: Units<T, D>) {
  return z.object({
    peer: z.string(),
    /** Null where no answer came. */
    rtt: z.nullable(duration),
    /** The path that was asked by; null where there is none. */
    path: z.nullable(linkPath),
    relayed: z.boolean(),
    pair: z.nullable(candidatePair),
    /** Why there is no answer; empty where there is one. */
    reason: z.string(),
  });
}

/** Something that an operator can mend (`protocol/warnings.ts`). */
function warningIn<T extends Milliseconds>(time: T) {
  return z.object({
    /** A short stable name of what it is about, for example `listen`. */
    subject: z.string().check(z.maxLength(256)),
    /** The peer that it is about; null for this node. */
    peer: z.nullable(nodeId),
    /** What is wrong and what to do, on one line. */
    message: z.string().check(z.maxLength(1024)),
    since: time,
  });
}

export const warning = warningIn(milliseconds.time);

export function reportIn<T extends Milliseconds, D extends Milliseconds>(units: Units<T, D>) {
  return z.object({
    version: z.string(),
    node: z.object({
      id: z.string(),
      identity: z.string(),
      fingerprint: z.optional(z.string()),
      /** `host:port` of the bootstrap WebSocket. */
      listen: z.string(),
      pid: z.int(),
      /** Seconds since control started. */
      uptime: z.number(),
    }),
    /** Of the mesh. Nothing that is made of one of them stands here: it would be something to try guesses against. */
    tokens: z.optional(
      z.object({
        /** By how many others are let in. */
        accepted: z.int(),
        /** Where they are given, in words. */
        source: z.string(),
        /** The file to change them in; null where there is none. */
        file: z.nullable(z.string()),
      }),
    ),
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
        /** How many of its messages were not looked at or not passed on, by cause; missing if none. */
        refused: z.optional(refusedCounts),
      }),
    ),
    peers: z.array(peerIn(units)),
    /** What control refused of others than neighbors, and what the dataplane refused of peers. */
    refused: z.optional(refusedCounts),
    /** Of control and of the dataplane. */
    warnings: z.optional(z.array(warningIn(units.time))),
  });
}

export const statusReport = reportIn(milliseconds);

export type CandidateEnd = z.infer<typeof candidateEnd>;
export type CandidatePair = z.infer<typeof candidatePair>;
export type StatusReport = z.infer<typeof statusReport>;
export type PeerStatus = StatusReport['peers'][number];
export type Warning = z.infer<typeof warning>;

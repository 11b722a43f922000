/**
 * What a node tells those who watch it: `GET /v1/events`, `cryoc watch`. Links, interfaces and peers are told as they change,
 * in this order: an interface is there before its link is up, and goes after its link is lost.
 */
import * as z from 'zod/mini';
import { nodeId } from './schema.ts';

/** Each event, and what it says. */
export const eventMeanings = {
  'node.started': 'control has started: what was told before may have changed without a word',
  'dataplane.up': 'control is connected to the dataplane',
  'dataplane.down': 'the dataplane has ended, or does not answer; its interfaces may be gone',
  'neighbor.up': 'the node can be signaled directly',
  'neighbor.down': 'the node cannot be signaled directly any more',
  'peer.learned': 'a node is in the mesh',
  'peer.left': 'the node has said goodbye',
  'peer.forgotten': 'nobody has heard of the node for --check-timeout',
  'interface.added': 'there is an interface for the peer',
  'interface.removed': 'there is none any more',
  'interface.address': 'our address on it is another one, or gone',
  'mtu.changed': 'the MTU of the interface is another one',
  'link.up': 'packets pass, and the interface has carrier',
  'link.adopted': 'the same, found by a control that has just started or was without its dataplane',
  'link.path': 'packets take another path',
  'link.degraded':
    'the link is up, and loses more than a tenth of its probes or takes several times its shortest round trip',
  'link.recovered': 'the same is over',
  'link.lost': 'no packets pass, and the interface has no carrier',
  'policy.denied': 'there is no link with the peer, by our policy or by its own',
  'policy.permitted': 'our policy permits a link with the peer now',
  'trust.pinned': 'the key of the peer is kept from now on',
  'trust.disputed': 'another key wants the ID of the peer',
  'trust.settled': 'that is over',
  'trust.accepted': 'an operator has accepted a key for the ID, on all nodes',
  'trust.revoked': 'an operator has revoked the ID, or the key: no link with it',
  'trust.forgotten': 'an operator has the key of the ID forgotten: the next one is taken',
  'trust.refused': 'the peer refuses us for our ID or key',
  'token.changed': 'another list of tokens counts',
  'invitation.used': 'a machine that calls itself so was let in by an invitation',
  'reload.done': 'the configuration was read again',
  'reload.refused': 'the configuration was read again and cannot be used; nothing has changed',
  'events.missed': 'some events are not kept any more: ask for the status',
} as const;

export const streamType = 'text/event-stream';

type EventName = keyof typeof eventMeanings;

/** Characters of the longest reason. */
const maxReason = 512;

const path = z.enum(['direct', 'datachannel', 'relayed', 'websocket']);
const optionNames = z.array(z.string());

/** What an event is about. Which of these there are depends on the event; more are added in later versions. */
const about = {
  peer: z.optional(nodeId),
  interface: z.optional(z.string()),
  path: z.optional(path),
  pathBefore: z.optional(path),
  /** Bytes. */
  mtu: z.optional(z.int()),
  mtuBefore: z.optional(z.int()),
  /** Round trip in seconds, and the share of the last probes that were not answered. */
  rtt: z.optional(z.number()),
  loss: z.optional(z.number()),
  /** Our link-local address; empty while there is none. */
  address: z.optional(z.string()),
  /** Those of the configuration that are there as well, with their prefix lengths. */
  addresses: z.optional(z.array(z.string())),
  reason: z.optional(z.string().check(z.maxLength(maxReason))),
  /** Of an identity key. */
  fingerprint: z.optional(z.string()),
  /** Names of options. */
  applied: z.optional(optionNames),
  needsRestart: z.optional(optionNames),
  version: z.optional(z.string()),
  /** So many events like this one came since the last that was told, and were left out. */
  leftOut: z.optional(z.int()),
};

export const nodeEvent = z.object({
  time: z.iso.datetime(),
  event: z.enum(Object.keys(eventMeanings) as [EventName, ...EventName[]]),
  ...about,
});

export type NodeEvent = z.infer<typeof nodeEvent>;

/** An event before it has a time. */
export type Untimed = Omit<NodeEvent, 'time' | 'leftOut'>;

/** Names an event: the epoch of the control that told it, and its number there. Later events have greater ones. */
export interface EventId {
  readonly epoch: number;
  readonly number: number;
}

export const eventIdPattern = /^(\d{1,16})-(\d{1,16})$/;

export function eventIdOf(text: string): EventId | undefined {
  const parts = eventIdPattern.exec(text);
  return parts === null ? undefined : { epoch: Number(parts[1]), number: Number(parts[2]) };
}

export function eventIdText({ epoch, number }: EventId): string {
  return `${epoch}-${number}`;
}

export function isLater(one: EventId, other: EventId): boolean {
  return one.epoch === other.epoch ? one.number > other.number : one.epoch > other.epoch;
}

/** `time`: milliseconds since the Unix epoch, by the machine's clock. */
export function timed(event: Untimed, time: number): NodeEvent {
  const { event: name, reason, ...rest } = event;
  return {
    ...{ time: new Date(time).toISOString(), event: name, ...rest },
    ...(reason ? { reason: reason.replaceAll(/\s+/g, ' ').slice(0, maxReason) } : {}),
  };
}

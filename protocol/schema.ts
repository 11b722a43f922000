/** Parts that several schemas share, and the check of a value against one. */
import * as z from 'zod/mini';
import { CryonetError } from './errors.ts';
import { decode } from './msgpack.ts';
import { greatestMtu, leastMtu } from './mtu.ts';

/** Node ID: 1 to 64 letters, digits, `-`, `_`. */
export const nodeId = z.string().check(z.regex(/^[A-Za-z0-9_-]{1,64}$/));

/** The greatest epoch. No clock shows so late a time, and a node that has to skip epochs still finds later numbers that
 *  JavaScript represents exactly. */
export const lastEpoch = Number.MAX_SAFE_INTEGER - 2 ** 20;

/** Names one start of control: milliseconds since the Unix epoch, strictly greater at every start. */
export const epoch = z.int().check(z.minimum(0), z.maximum(lastEpoch));

export const bytes = (min: number, max: number) =>
  z.custom<Uint8Array>(
    (value) => value instanceof Uint8Array && value.length >= min && value.length <= max,
    `expected ${min === max ? min : `${min} to ${max}`} bytes`,
  );

/** A session description. RFC 8866 sets no limit; engines send under 2 KiB. */
export const sdp = z.string().check(z.minLength(1), z.maxLength(16_384));

/** A candidate line, RFC 8839 section 5.1. */
export const candidateLine = z.string().check(z.minLength(1), z.maxLength(512));

/** Names one negotiation. The offerer makes it; it is unique between the two nodes. */
export const negotiationPattern = /^[a-z0-9-]{1,32}$/;
export const negotiationId = z.string().check(z.regex(negotiationPattern));

/** MTU of an interface in bytes. */
export const mtu = z.int().check(z.minimum(leastMtu), z.maximum(greatestMtu));

/** How a connection may reach the peer.
 *  `shared`: the node's one UDP port, or another where that leads nowhere, host and server-reflexive candidates, no TURN
 *  (see ARCHITECTURE).
 *  `relay`: a port of its own; through a TURN server where this node has one that gives a candidate, else any
 *  candidate.
 *  `websocket`: the bootstrap WebSocket of these two nodes (`carried.ts`). */
export const route = z.enum(['shared', 'relay', 'websocket']);

/** What carries a link's packets. */
export const linkPath = z.enum(['direct', 'datachannel', 'websocket']);

/** Decodes MessagePack and checks its shape. Throws `bad_frame` or `bad_message`. */
export function parse<T extends z.ZodMiniType>(schema: T, frame: Uint8Array): z.infer<T> {
  return check(schema, decode(frame));
}

/** Throws `bad_message`, which names the first field that does not fit. */
export function check<T extends z.ZodMiniType>(schema: T, value: unknown): z.infer<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const where = issue?.path.join('.') ?? '';
  throw new CryonetError(
    'bad_message',
    `${where === '' ? 'message' : where}: ${issue?.message ?? 'invalid'}`,
  );
}

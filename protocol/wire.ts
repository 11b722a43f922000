/** What two dataplanes say to each other over a link's `wire` datachannel, one MessagePack map each; and the one message
 *  on `data` that is no packet. */
import * as z from 'zod/mini';
import { renewMessage } from './keys.ts';
import { bytes } from './schema.ts';

const packetBytes = z.int().check(z.minimum(1280), z.maximum(65_531));

export const wireMessage = z.discriminatedUnion('type', [
  /** First on every connection, both ways. The link is up once both hellos agree and both ends are ready. */
  z.object({
    type: z.literal('hello'),
    version: z.int(),
    packetInformation: z.boolean(),
    /** The sender's end of this connection is at a TURN server; the receiver may see another address. */
    relayed: z.optional(z.boolean()),
    /** Bytes of the largest packet that the sender's interface takes at most. */
    mtu: packetBytes,
    /** The sender says `ready` once its interface is open, and waits for the receiver's `ready` where it does, too. */
    saysReady: z.optional(z.boolean()),
    /** Bytes of the largest packet that the sender offers to set, until a `mtu` says another; missing where it never says. */
    carries: z.optional(packetBytes),
    /** The sender answers full packets. */
    full: z.optional(z.boolean()),
  }),
  /** Both hellos agree and the sender's interface is open. Only where both hellos had `saysReady`. */
  z.object({ type: z.literal('ready') }),
  /** Bytes of the largest packet that the sender offers from now on. Both interfaces have the lower of both offers. */
  z.object({ type: z.literal('mtu'), bytes: packetBytes }),
  z.object({
    type: z.literal('ping'),
    number: z.int(),
    /** Of older dataplanes: it makes the first one as long as a full packet. */
    padding: z.optional(bytes(0, 8192)),
  }),
  /** A full packet with that number has arrived on `data`. */
  z.object({ type: z.literal('full'), number: z.int() }),
  z.object({ type: z.literal('pong'), number: z.int() }),
  renewMessage,
  /** The sender's direct path is lost: it has no answer by it. Where the other end still hears, it cannot know. */
  z.object({ type: z.literal('lost') }),
  /** The sender's node stops, and has no control left to say so to the mesh. */
  z.object({ type: z.literal('bye') }),
]);

export const wireVersion = 1;

/** Bytes; a longer message closes the connection. */
export const maxWireFrame = 16_384;

/** Bytes of the shortest full packet: an answer is never longer than what it answers. */
const leastFull = 1280;

/**
 * A full packet: a message on `data` that asks whether messages of its length arrive. 0 to 3: zeros, with which no packet
 * begins, neither by its IP version nor by a protocol in its packet information; 4 to 7: its number, big-endian; zeros.
 * A kernel that it is given as a packet refuses it.
 */
export function fullPacket(number: number, length: number): Uint8Array {
  const bytes = new Uint8Array(Math.max(length, leastFull));
  new DataView(bytes.buffer).setUint32(4, number);
  return bytes;
}

/** The number of a full packet; undefined for any other message on `data`. */
export function fullPacketNumber(bytes: Uint8Array): number | undefined {
  if (bytes[0] !== 0 || bytes.length < leastFull) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return view.getUint32(0) === 0 ? view.getUint32(4) : undefined;
}

export type WireMessage = z.infer<typeof wireMessage>;

/** The datachannels of every connection; what each is for: `dataplane/io/webrtc.ts`. */
export type ChannelName = 'signal' | 'wire' | 'data';

/** What two dataplanes say to each other over a link's `wire` datachannel, one MessagePack map a record; and the full
 *  packet, the one record on `data` that is no packet. */
import * as z from 'zod/mini';
import { renewMessage } from './keys.ts';
import { leastMtu } from './mtu.ts';
import { bytes, mtu } from './schema.ts';

export const wireMessage = z.discriminatedUnion('type', [
  /** The first message on every connection, both ways. The link is up once both hellos agree and both ends are ready. */
  z.object({
    type: z.literal('hello'),
    version: z.int(),
    packetInformation: z.boolean(),
    /** The sender's end of this connection is at a TURN server. The receiver may see another address. */
    relayed: z.optional(z.boolean()),
    /** The largest MTU, in bytes, that the sender's interface may ever have. */
    mtu,
    /** The sender says `ready` once its interface is open, and expects `ready` of a receiver that says it, too. */
    saysReady: z.optional(z.boolean()),
    /** The MTU in bytes that the sender offers until it sends `mtu`; missing if it never offers one. */
    carries: z.optional(mtu),
    /** The sender answers full packets. */
    full: z.optional(z.boolean()),
  }),
  /** Both hellos agree and the sender's interface is open. Sent only if both hellos had `saysReady`. */
  z.object({ type: z.literal('ready') }),
  /** The MTU in bytes that the sender offers from now on. Both interfaces get the lower of the two offers. */
  z.object({ type: z.literal('mtu'), bytes: mtu }),
  z.object({
    type: z.literal('ping'),
    number: z.int(),
    /** Only from older dataplanes, whose first ping is as long as a full packet. */
    padding: z.optional(bytes(0, 8192)),
  }),
  /** A full packet with this number has arrived on `data`. */
  z.object({ type: z.literal('full'), number: z.int() }),
  z.object({ type: z.literal('pong'), number: z.int() }),
  renewMessage,
  /** The sender gets no answers by the direct path and leaves it. The other end may still hear, and could not know. */
  z.object({ type: z.literal('lost') }),
  /** The sender's node stops and has no control left that could tell the mesh. */
  z.object({ type: z.literal('bye') }),
]);

export const wireVersion = 1;

/** Bytes. A longer message is passed over. */
export const maxWireFrame = 16_384;

/** A full packet asks whether messages of its length arrive on `data`: `length` bytes, `leastMtu` at least, of which the
 *  first four are its number in big-endian, and the rest zeros. An answer is never longer than the packet that it answers. */
export function fullPacket(number: number, length: number): Uint8Array {
  const bytes = new Uint8Array(Math.max(length, leastMtu));
  new DataView(bytes.buffer).setUint32(0, number);
  return bytes;
}

/** Its number; undefined for one that is too short. */
export function fullPacketNumber(bytes: Uint8Array): number | undefined {
  if (bytes.length < leastMtu) return undefined;
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(0);
}

export type WireMessage = z.infer<typeof wireMessage>;

/** The datachannels of every connection. `dataplane/io/webrtc.ts` says what each is for. */
export type ChannelName = 'signal' | 'wire' | 'data';

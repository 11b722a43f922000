/**
 * Records by the bootstrap WebSocket of two nodes, where nothing else connects them. A frame of that WebSocket is then no
 * MessagePack but one message of a connection, or its end:
 *
 *   0   u8  0xc1, which begins no MessagePack value
 *   1   u8  0 `signal`, 1 `wire`, 2 `data`; 3: the sender has closed the connection, and there is no record
 *   2   u8  length of the negotiation, 1 to 32
 *   3   the negotiation, then the record
 */
import { negotiationPattern } from './schema.ts';
import { maxNeighborFrame } from './signaling.ts';

export const carriedChannels = ['signal', 'wire', 'data', 'end'] as const;
export type CarriedChannel = (typeof carriedChannels)[number];

const mark = 0xc1;
const longestNegotiation = 32;
const headBytes = 3;

export interface Carried {
  readonly negotiation: string;
  readonly channel: CarriedChannel;
  readonly record: Uint8Array;
}

/** Bytes that a message counts as at least, however short it is: each costs a machine some time. */
export const leastCarried = 300;

/** Whether a frame is one of these, well-formed or not. */
export function isCarried(frame: Uint8Array): boolean {
  return frame[0] === mark;
}

export function encodeCarried({ negotiation, channel, record }: Carried): Uint8Array {
  const name = new TextEncoder().encode(negotiation);
  const frame = new Uint8Array(headBytes + name.length + record.length);
  frame.set([mark, carriedChannels.indexOf(channel), name.length]);
  frame.set(name, headBytes);
  frame.set(record, headBytes + name.length);
  return frame;
}

/** Undefined for what is none. The record is a part of `frame`. */
export function decodeCarried(frame: Uint8Array): Carried | undefined {
  const [first, number = -1, length = 0] = frame;
  const channel = carriedChannels[number];
  const start = headBytes + length;
  if (first !== mark || channel === undefined || frame.length > maxNeighborFrame) return undefined;
  if (length > longestNegotiation || frame.length < start) return undefined;
  if ((channel === 'end') !== (frame.length === start)) return undefined;
  const negotiation = String.fromCharCode(...frame.subarray(headBytes, start));
  if (!negotiationPattern.test(negotiation)) return undefined;
  return { negotiation, channel, record: frame.subarray(start) };
}

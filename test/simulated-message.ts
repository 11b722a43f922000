/** A message on its way from one simulated node to another, which is never encoded. */
import type { NeighborMessage } from '../protocol/signaling.ts';

/** The receiver gets the sender's own objects: neither may change them. */
export function freeze(message: NeighborMessage): void {
  Object.freeze(message);
  if (message.type === 'members') for (const entry of message.entries) Object.freeze(entry);
  if (message.type === 'flood' && message.sender !== undefined) Object.freeze(message.sender);
}

/** Bytes, about: encoding it would take longer than all else. */
export function sizeOf(message: NeighborMessage): number {
  switch (message.type) {
    case 'alive':
      return 32 + 8 * message.ask.length;
    case 'members':
      return 16 + 192 * message.entries.length;
    case 'flood':
      return 160 + message.body.length + (message.sender === undefined ? 0 : 192);
  }
}

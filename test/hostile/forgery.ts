/** Messages between neighbors that have the shape and say whatever their maker likes, signed by whoever he has the key
 *  of, or by nobody. */
import { prefixed } from '../../control/core/environment.ts';
import { encode } from '../../protocol/msgpack.ts';
import { check } from '../../protocol/schema.ts';
import {
  domain,
  type FloodMessage,
  floodMessage,
  type NodeRecord,
  type SignedRecord,
} from '../../protocol/signaling.ts';

export type Sign = (message: Uint8Array) => Uint8Array;

/** What stands where nobody signed. */
const noSignature = new Uint8Array(64);

export function signedRecord(record: NodeRecord, sign: Sign = () => noSignature): SignedRecord {
  const bytes = encode(record);
  return { record: bytes, signature: sign(prefixed(domain.record, bytes)) };
}

export interface FloodParts {
  readonly from: string;
  readonly to: string;
  readonly sign?: Sign | undefined;
  /** Sent along as the sender's record. */
  readonly sender?: SignedRecord | undefined;
  /** Epochs, counter, `kind` and what that kind has. */
  readonly body: Readonly<Record<string, unknown>>;
}

export function signedFlood({ from, to, sign = () => noSignature, sender, body }: FloodParts): FloodMessage {
  const content = encode({ from, to, ...body });
  return check(floodMessage, {
    type: 'flood',
    from,
    to,
    ttl: 32,
    body: content,
    signature: sign(prefixed(domain.body, content)),
    ...(sender === undefined ? {} : { sender }),
  });
}

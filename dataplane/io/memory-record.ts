/** Records of a datachannel as the engine makes them (`record.h`), by `node:crypto`. */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { LinkCipher } from '../../protocol/keys.ts';

/** Of packets; and the lane of a datachannel. */
const head = Uint8Array.of(0xc0, 0, 1, 0);
const headerSize = 16;
const tagSize = 16;

export interface RecordKey {
  readonly cipher: LinkCipher;
  readonly key: Uint8Array;
}

export function sealRecord(
  { cipher, key }: RecordKey,
  index: number,
  counter: number,
  packet: Uint8Array,
): Uint8Array {
  const header = Buffer.alloc(headerSize);
  header.set(head);
  header.writeUInt32BE(index, 4);
  header.writeBigUInt64BE(BigInt(counter), 8);
  // The types have no overload for a name that may be either cipher; the calls are the same.
  const sealing = createCipheriv(cipher as 'aes-256-gcm', key, nonceOf(header), { authTagLength: tagSize });
  sealing.setAAD(header, { plaintextLength: packet.length });
  return new Uint8Array(
    Buffer.concat([header, sealing.update(packet), sealing.final(), sealing.getAuthTag()]),
  );
}

/** Undefined for what is no record of a packet that came by a datachannel. */
export function parseRecord(
  record: Uint8Array,
): { readonly index: number; readonly counter: number } | undefined {
  if (record.length < headerSize + tagSize || !head.every((byte, i) => i === 3 || record[i] === byte))
    return undefined;
  const view = new DataView(record.buffer, record.byteOffset, record.length);
  return { index: view.getUint32(4), counter: Number(view.getBigUint64(8)) };
}

/** The packet; undefined where anything about the record is not authentic. */
export function openRecord({ cipher, key }: RecordKey, record: Uint8Array): Uint8Array | undefined {
  const header = record.subarray(0, headerSize);
  const end = record.length - tagSize;
  const opening = createDecipheriv(cipher as 'aes-256-gcm', key, nonceOf(header), { authTagLength: tagSize });
  opening.setAAD(header, { plaintextLength: end - headerSize });
  opening.setAuthTag(record.subarray(end));
  try {
    return new Uint8Array(Buffer.concat([opening.update(record.subarray(headerSize, end)), opening.final()]));
  } catch {
    return undefined;
  }
}

/** Three zeros, the lane, the counter. */
function nonceOf(header: Uint8Array): Uint8Array {
  return Buffer.concat([new Uint8Array(3), header.subarray(2, 3), header.subarray(8)]);
}

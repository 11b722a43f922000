/** Records that the packet engine does not make, in its format (`dataplane/native/src/record.h`), by `node:crypto`. */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { LinkCipher } from '../../protocol/keys.ts';

/** `packet` is the engine's, the others are those of `channel-records.ts`. */
export const recordKind = { packet: 0, signal: 3, wire: 4, full: 5 } as const;

const type = 0xc0;
/** That of a datachannel. */
const lane = 1;
const headerSize = 16;
const tagSize = 16;

export interface RecordKey {
  readonly cipher: LinkCipher;
  /** 32 bytes. */
  readonly key: Uint8Array;
}

export interface RecordHeader {
  readonly kind: number;
  /** The receiver's. */
  readonly index: number;
  /** Used once under a key. */
  readonly counter: number;
}

export function sealRecord(
  { cipher, key }: RecordKey,
  { kind, index, counter }: RecordHeader,
  content: Uint8Array,
): Uint8Array {
  const header = Buffer.alloc(headerSize);
  header.set([type, kind, lane]);
  header.writeUInt32BE(index, 4);
  header.writeBigUInt64BE(BigInt(counter), 8);
  // The types have no overload for a name that may be either cipher; the calls are the same.
  const sealing = createCipheriv(cipher as 'aes-256-gcm', key, nonceOf(header), { authTagLength: tagSize });
  sealing.setAAD(header, { plaintextLength: content.length });
  return new Uint8Array(
    Buffer.concat([header, sealing.update(content), sealing.final(), sealing.getAuthTag()]),
  );
}

/** Undefined for what is no record of a datachannel. Whether it is authentic only `openRecord` knows. */
export function parseRecord(record: Uint8Array): RecordHeader | undefined {
  if (record.length < headerSize + tagSize || record[0] !== type || record[2] !== lane) return undefined;
  const view = new DataView(record.buffer, record.byteOffset, record.length);
  return { kind: record[1]!, index: view.getUint32(4), counter: Number(view.getBigUint64(8)) };
}

/** Its content; undefined where anything about the record is not authentic. */
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

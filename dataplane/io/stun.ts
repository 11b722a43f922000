/**
 * The little of STUN (RFC 8489) and TURN (RFC 8656) that asking a server takes. All numbers are big-endian.
 *
 *   0  u16 type: method and class          4  u32 0x2112a442            20  attributes, each
 *   2  u16 bytes of attributes             8  12 bytes of transaction       u16 type, u16 length, value, padding to 4
 */
import { createHash, createHmac } from 'node:crypto';
import type { Place } from '../../protocol/netcheck.ts';

export const stunType = {
  bindingRequest: 0x0001,
  allocateRequest: 0x0003,
  refreshRequest: 0x0004,
} as const;

export const stunAttribute = {
  /** Of RFC 3489, by servers that are as old. */
  mappedAddress: 0x0001,
  /** RFC 5780 7.2: asks the server to answer from another address. */
  changeRequest: 0x0003,
  username: 0x0006,
  messageIntegrity: 0x0008,
  errorCode: 0x0009,
  lifetime: 0x000d,
  realm: 0x0014,
  nonce: 0x0015,
  xorRelayedAddress: 0x0016,
  requestedTransport: 0x0019,
  xorMappedAddress: 0x0020,
  /** RFC 5780 7.4: the server's other address. */
  otherAddress: 0x802c,
} as const;

/** A server's answer, as far as it is understood. */
export interface StunResponse {
  readonly type: number;
  readonly transaction: Uint8Array;
  readonly attributes: ReadonlyMap<number, Buffer>;
  /** RFC 8489 14.8; undefined where it is no error. */
  readonly code: number | undefined;
}

const cookie = 0x2112a442;
const headerBytes = 20;
export const transactionBytes = 12;
/** More than a server has to say; ours understand the first. */
const maxAttributes = 32;
const errorClass = 0x0110;
const responseClass = 0x0100;

/** `key`: of the long-term credential, for MESSAGE-INTEGRITY, which is left out without. */
export function stunRequest(
  type: number,
  transaction: Uint8Array,
  attributes: readonly (readonly [type: number, value: Uint8Array])[],
  key?: Uint8Array,
): Buffer {
  const body = Buffer.concat(attributes.map(([type, value]) => attributeOf(type, value)));
  const integrityBytes = key === undefined ? 0 : 24;
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(type, 0);
  header.writeUInt16BE(body.length + integrityBytes, 2);
  header.writeUInt32BE(cookie, 4);
  header.set(transaction, 8);
  const message = Buffer.concat([header, body]);
  if (key === undefined) return message;
  const integrity = createHmac('sha1', key).update(message).digest();
  return Buffer.concat([message, attributeOf(stunAttribute.messageIntegrity, integrity)]);
}

/** RFC 8489 9.2.2. The strings are taken as they are, without SASLprep. */
export function longTermKey(user: string, realm: string, credential: string): Buffer {
  return createHash('md5').update(`${user}:${realm}:${credential}`).digest();
}

/** The response to the request of this transaction; undefined where these bytes are anything else. */
export function readStunResponse(bytes: Buffer, transaction: Uint8Array): StunResponse | undefined {
  if (bytes.length < headerBytes || bytes.readUInt32BE(4) !== cookie) return undefined;
  const type = bytes.readUInt16BE(0);
  if ((type & 0xc000) !== 0 || (type & responseClass) === 0) return undefined;
  if (bytes.readUInt16BE(2) !== bytes.length - headerBytes) return undefined;
  if (!bytes.subarray(8, headerBytes).equals(transaction)) return undefined;
  const attributes = new Map<number, Buffer>();
  for (let at = headerBytes; at < bytes.length; ) {
    if (at + 4 > bytes.length || attributes.size >= maxAttributes) return undefined;
    const length = bytes.readUInt16BE(at + 2);
    const end = at + 4 + length;
    if (end > bytes.length) return undefined;
    const name = bytes.readUInt16BE(at);
    // Of several the first counts (RFC 8489 14).
    if (!attributes.has(name)) attributes.set(name, bytes.subarray(at + 4, end));
    at = end + ((4 - (length % 4)) % 4);
  }
  if ((type & errorClass) !== errorClass) return { type, transaction, attributes, code: undefined };
  const error = attributes.get(stunAttribute.errorCode);
  if (error === undefined || error.length < 4) return undefined;
  const code = (error[2]! & 7) * 100 + error[3]!;
  return code >= 300 && code <= 699 && error[3]! <= 99 ? { type, transaction, attributes, code } : undefined;
}

/** Where the server sees us; undefined where it does not say. RFC 8489 14.1, 14.2. */
export function mappedAddress({ attributes, transaction }: StunResponse): Place | undefined {
  const xored = attributes.get(stunAttribute.xorMappedAddress);
  const plain = attributes.get(stunAttribute.mappedAddress);
  if (xored !== undefined) return placeIn(xored, transaction);
  return plain && placeIn(plain);
}

/** Where else the server answers from; undefined where it has no other address. */
export function otherAddress({ attributes }: StunResponse): Place | undefined {
  const other = attributes.get(stunAttribute.otherAddress);
  return other && placeIn(other);
}

/** `transaction`: of an address that is hidden by it and the cookie. */
function placeIn(value: Buffer, transaction?: Uint8Array): Place | undefined {
  const bytes = Buffer.from(value);
  const addressBytes = { 1: 4, 2: 16 }[bytes[1] ?? 0];
  if (addressBytes === undefined || bytes.length !== 4 + addressBytes) return undefined;
  if (transaction !== undefined) {
    const mask = Buffer.alloc(16);
    mask.writeUInt32BE(cookie);
    mask.set(transaction, 4);
    for (let i = 0; i < 2; i++) bytes[2 + i]! ^= mask[i]!;
    for (let i = 0; i < addressBytes; i++) bytes[4 + i]! ^= mask[i]!;
  }
  const address = addressBytes === 4 ? [...bytes.subarray(4)].join('.') : ipv6Text(bytes.subarray(4));
  return { address, port: bytes.readUInt16BE(2) };
}

function ipv6Text(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

function attributeOf(type: number, value: Uint8Array): Buffer {
  const attribute = Buffer.alloc(4 + Math.ceil(value.length / 4) * 4);
  attribute.writeUInt16BE(type, 0);
  attribute.writeUInt16BE(value.length, 2);
  attribute.set(value, 4);
  return attribute;
}

/**
 * MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md) as this project uses it: nil, booleans,
 * numbers, strings, binaries, arrays and maps with string keys. Extension types are refused, because msgpackr would make
 * records, dates and errors of them: a frame is walked once before msgpackr sees it.
 */
import { Packr, Unpackr } from 'msgpackr';
import { CryonetError } from './errors.ts';

/** Levels of arrays and maps inside each other. Our deepest message has five. */
const maxDepth = 16;

const packr = new Packr({ useRecords: false, variableMapSize: true, skipValues: [undefined] } as object);
const unpackr = new Unpackr({
  useRecords: false,
  mapsAsObjects: true,
  copyBuffers: true,
  int64AsType: 'number',
} as object);

/** Properties whose value is `undefined` are left out. */
export function encode(value: unknown): Uint8Array<ArrayBuffer> {
  return new Uint8Array(packr.pack(value));
}

/** Throws `bad_frame` for anything but exactly one value of the kinds above. */
export function decode(bytes: Uint8Array): unknown {
  const end = walk(bytes, 0, 0);
  if (end !== bytes.length)
    throw new CryonetError('bad_frame', `${bytes.length - end} bytes after the value`);
  try {
    return unpackr.unpack(bytes);
  } catch (cause) {
    throw new CryonetError('bad_frame', undefined, { cause });
  }
}

/** Returns the offset after the value that starts at `at`. The time is bounded by the number of bytes that are there,
 *  whatever lengths they claim. */
function walk(bytes: Uint8Array, at: number, depth: number): number {
  if (depth > maxDepth) throw new CryonetError('bad_frame', 'nested too deeply');
  if (at >= bytes.length) throw truncated();
  const tag = bytes[at]!;
  if (tag <= 0x7f || tag >= 0xe0) return at + 1;
  if (tag <= 0x8f) return walkMap(bytes, at + 1, tag & 0x0f, depth);
  if (tag <= 0x9f) return walkArray(bytes, at + 1, tag & 0x0f, depth);
  if (tag <= 0xbf) return skip(bytes, at + 1, tag & 0x1f);
  switch (tag) {
    case 0xc0:
    case 0xc2:
    case 0xc3:
      return at + 1;
    case 0xc4:
    case 0xd9:
      return skip(bytes, at + 2, length(bytes, at + 1, 1));
    case 0xc5:
    case 0xda:
      return skip(bytes, at + 3, length(bytes, at + 1, 2));
    case 0xc6:
    case 0xdb:
      return skip(bytes, at + 5, length(bytes, at + 1, 4));
    case 0xca:
    case 0xce:
    case 0xd2:
      return skip(bytes, at + 1, 4);
    case 0xcb:
    case 0xcf:
    case 0xd3:
      return skip(bytes, at + 1, 8);
    case 0xcc:
    case 0xd0:
      return skip(bytes, at + 1, 1);
    case 0xcd:
    case 0xd1:
      return skip(bytes, at + 1, 2);
    case 0xdc:
      return walkArray(bytes, at + 3, length(bytes, at + 1, 2), depth);
    case 0xdd:
      return walkArray(bytes, at + 5, length(bytes, at + 1, 4), depth);
    case 0xde:
      return walkMap(bytes, at + 3, length(bytes, at + 1, 2), depth);
    case 0xdf:
      return walkMap(bytes, at + 5, length(bytes, at + 1, 4), depth);
    default:
      throw new CryonetError('bad_frame', `type 0x${tag.toString(16)} is not used here`);
  }
}

function walkArray(bytes: Uint8Array, at: number, count: number, depth: number): number {
  let next = at;
  for (let i = 0; i < count; i++) next = walk(bytes, next, depth + 1);
  return next;
}

function walkMap(bytes: Uint8Array, at: number, count: number, depth: number): number {
  let next = at;
  for (let i = 0; i < count; i++) {
    const tag = bytes[next] ?? 0;
    const isString = (tag >= 0xa0 && tag <= 0xbf) || (tag >= 0xd9 && tag <= 0xdb);
    if (!isString) throw new CryonetError('bad_frame', 'a map key is no string');
    next = walk(bytes, walk(bytes, next, depth + 1), depth + 1);
  }
  return next;
}

function length(bytes: Uint8Array, at: number, width: 1 | 2 | 4): number {
  if (at + width > bytes.length) throw truncated();
  let value = 0;
  for (let i = 0; i < width; i++) value = value * 256 + bytes[at + i]!;
  return value;
}

function skip(bytes: Uint8Array, at: number, count: number): number {
  const end = at + count;
  if (end > bytes.length) throw truncated();
  return end;
}

function truncated(): CryonetError {
  return new CryonetError('bad_frame', 'the value is cut short');
}

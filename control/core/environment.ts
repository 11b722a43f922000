/** What core is given because it may not reach for it: time, randomness and cryptography. */
export interface Environment {
  /** Milliseconds since the Unix epoch by a steady clock, which never goes back. */
  readonly now: number;
  /** In [0, 1). */
  random(): number;
  sign(message: Uint8Array): Uint8Array;
  verify(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** SHA-256. */
  digest(message: Uint8Array): Uint8Array;
}

const text = new TextEncoder();

/** `prefix` as UTF-8, then `rest`. */
export function prefixed(prefix: string, rest: Uint8Array): Uint8Array {
  const head = text.encode(prefix);
  const joined = new Uint8Array(head.length + rest.length);
  joined.set(head);
  joined.set(rest, head.length);
  return joined;
}

export function hex(bytes: Uint8Array): string {
  let digits = '';
  for (const byte of bytes) digits += byte.toString(16).padStart(2, '0');
  return digits;
}

/** The inverse of `hex`. */
export function bytesOf(digits: string): Uint8Array {
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** Takes out of a text what nobody else is to read: secrets, keys and addresses. What is the same stays the same. */
import { isIP } from 'node:net';

/** Looked for in this order. Each shape is cheap: none of them backs up. */
const shapes = [
  /** Names in URLs of servers, and those of ICE servers, up to a port or path. */
  { kind: 'host', pattern: /(?<=\b(?:wss?|https?):\/\/|\b(?:stun|turn)s?:)(?!\[|\d+\.)[\w.-]+/g },
  /** The end of an IPv4 address may stand in one of IPv6 (RFC 4291 2.2). */
  {
    kind: 'ipv6',
    pattern: /(?<![\w:.])(?:[0-9a-f]{0,4}:){2,8}(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9a-f]{1,4})?(?![\w:])/gi,
  },
  { kind: 'ipv4', pattern: /(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])/g },
  { kind: 'mac', pattern: /(?<![\w:])(?:[0-9a-f]{2}:){5}[0-9a-f]{2}(?![\w:])/gi },
] as const;

/** Identity keys and what is as long: 32 bytes in base64 or hexadecimal; and fingerprints. */
const keys = /SHA256:[\w+/-]{20,}|(?<![\w+/-])[\w+/-]{43}=?(?![\w+/=-])|(?<!\w)[0-9a-f]{64}(?!\w)/g;

/** Addresses that are the same on every machine. */
const common: ReadonlySet<string> = new Set(['0.0.0.0', '127.0.0.1', '::', '::1']);

export class Masking {
  readonly #names = new Map<string, string>();
  readonly #counts = new Map<string, number>();
  readonly #secrets: readonly string[];
  readonly #keepsAddresses: boolean;

  /** `secrets`: texts that must not be in it, wherever they came from. */
  constructor(secrets: readonly string[], keepsAddresses: boolean) {
    // A longer one may hold a shorter one.
    this.#secrets = secrets.filter(({ length }) => length > 3).toSorted((a, b) => b.length - a.length);
    this.#keepsAddresses = keepsAddresses;
  }

  mask(text: string): string {
    let masked = text;
    for (const secret of this.#secrets) masked = masked.replaceAll(secret, '(secret)');
    masked = masked.replaceAll(keys, (key) => this.#nameOf('key', key));
    if (this.#keepsAddresses) return masked;
    for (const { kind, pattern } of shapes)
      masked = masked.replaceAll(pattern, (found) =>
        isMeant(kind, found) ? this.#nameOf(kind, found) : found,
      );
    return masked;
  }

  #nameOf(kind: string, found: string): string {
    const key = `${kind} ${found.toLowerCase()}`;
    let name = this.#names.get(key);
    if (name === undefined) {
      const count = (this.#counts.get(kind) ?? 0) + 1;
      this.#counts.set(kind, count);
      name = `${kind}-${count}`;
      this.#names.set(key, name);
    }
    return name;
  }
}

function isMeant(kind: string, found: string): boolean {
  if (kind !== 'ipv4' && kind !== 'ipv6') return true;
  return isIP(found) !== 0 && !common.has(found);
}

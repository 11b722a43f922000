/** How the text of an option becomes its value. A codec is the one place of the bounds of a value. */
import { readFileSync } from 'node:fs';
import type { IceServer } from '../../protocol/dataplane.ts';
import { parseDuration } from '../../protocol/duration.ts';
import { CryonetError } from '../../protocol/errors.ts';
import { maxOperators, operatorIn } from '../../protocol/statement.ts';
import { addressWithLength, type HostPort, parseHostPort } from './address.ts';
import { readCertificates } from './certificates.ts';
import { parseIceServer, unservedIceServer } from './ice-server.ts';
import { pinIn } from './pin.ts';

export interface Codec<T> {
  /** What it takes, for error messages. */
  readonly takes: string;
  /** Undefined for a text that it does not take. Throws `bad_config` where it can tell more. */
  readonly parse: (text: string, origin: Origin) => T | undefined;
  /** The value of an option that is not given and has no default. */
  readonly absent?: T;
  /** Items are separated by commas, and a flag may be repeated. */
  readonly list?: true;
  /** The text may hold a secret, so no error message shows it. */
  readonly secret?: true;
}

interface Origin {
  /** Where the text is given, for error messages. */
  readonly source: string;
}

/** Makes the option one that need not be given; its value is null then. */
export function optional<T>(codec: Codec<T>): Codec<T | null> {
  return { ...codec, absent: null };
}

export function matching(pattern: RegExp, takes: string): Codec<string> {
  return { takes, parse: (text) => (pattern.test(text) ? text : undefined) };
}

export function path(takes: string): Codec<string> {
  return matching(/./s, takes);
}

/** Any text, also an empty one. Whoever uses the value says what is wrong with it. */
export function text(takes: string): Codec<string> {
  return { takes, parse: (text) => text };
}

/** Decimal, from `min` to `max`. `what` names the value in error messages, which show the bounds unless `bounds` does. */
export function integer(what: string, min: number, max: number, bounds = `${min} to ${max}`): Codec<number> {
  return {
    takes: `${what} from ${bounds}`,
    parse: (text) => (/^\d{1,9}$/.test(text) ? within(Number(text), min, max) : undefined),
  };
}

/** A mark of packets, SO_MARK of socket(7). */
export const mark: Codec<number> = {
  takes: 'a number from 0 to 4294967295, decimal or hexadecimal after 0x',
  parse: (text) =>
    /^(\d{1,10}|0x[\da-f]{1,8})$/i.test(text) ? within(Number(text), 0, 0xffff_ffff) : undefined,
};

/** One word, which stands for `value`. */
export function word<const T>(word: string, value: T): Codec<T> {
  return { takes: word, parse: (text) => (text === word ? value : undefined) };
}

/** Whatever the first codec takes, else what the second takes. */
export function either<A, B>(first: Codec<A>, second: Codec<B>): Codec<A | B> {
  return {
    takes: `${first.takes} or ${second.takes}`,
    parse: (text, origin) => first.parse(text, origin) ?? second.parse(text, origin),
  };
}

export function oneOf<W extends string>(words: readonly W[]): Codec<W> {
  return { takes: words.join(', '), parse: (text) => words.find((word) => word === text) };
}

/** A switch. `on` is the value of one that is given. */
export function toggle(on = true): Codec<boolean> {
  const parse = (text: string) => {
    if (['true', '1', 'yes', 'on'].includes(text)) return on;
    return ['false', '0', 'no', 'off'].includes(text) ? !on : undefined;
  };
  return { takes: 'true or false', parse, absent: !on };
}

/** Milliseconds, 10 at least. */
export const duration: Codec<number> = {
  takes: 'a duration such as 10s, 1m30s or 500ms',
  parse: (text) => within(parseDuration(text) ?? 0, 10, Number.MAX_SAFE_INTEGER),
};

export const hostPort: Codec<HostPort> = { takes: 'host:port', parse: (text) => parseHostPort(text) };

/** The content of a file. */
export function contentOf(takes: string): Codec<string> {
  const parse = (path: string) => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return undefined;
    }
  };
  return { takes, parse };
}

export const certificates: Codec<readonly string[]> = {
  takes: 'a file of CA certificates in PEM',
  parse: (path, { source }) => readCertificates(path, source),
};

/** `most`: how many items there may be. */
function list<T>(
  takes: string,
  item: (text: string, origin: Origin) => T | undefined,
  most = Number.POSITIVE_INFINITY,
): Codec<readonly T[]> {
  const parse = (text: string, origin: Origin) => {
    const items: T[] = [];
    for (const part of text.split(',')) {
      if (part.trim() === '') continue;
      const value = item(part.trim(), origin);
      if (value === undefined) return undefined;
      items.push(value);
    }
    return items.length <= most ? items : undefined;
  };
  return { takes, parse, absent: [], list: true };
}

export const webSocketUrls: Codec<readonly string[]> = {
  ...list('ws:// or wss:// URLs, comma separated', (text) => {
    const url = URL.parse(text);
    return url !== null && /^wss?:$/.test(url.protocol) && url.hash === '' ? url.href : undefined;
  }),
  secret: true,
};

export const iceServers: Codec<readonly IceServer[]> = {
  ...list(
    'stun:host[:port], turn:host[:port]|user|credential or turn:host[:port]|user|secret:SECRET[|TIME], over UDP, comma separated',
    (text, { source }) => {
      const reason = unservedIceServer(text);
      if (reason !== undefined) throw new CryonetError('bad_config', `${source} ${reason}`);
      return parseIceServer(text);
    },
  ),
  secret: true,
};

/** Globs over IDs of nodes. */
export const idGlobs = list('node IDs with * and ?', (text) =>
  /^[A-Za-z0-9_*?-]{1,64}$/.test(text) ? text : undefined,
);

/** Globs over interface names. IFNAMSIZ leaves 15 bytes; a name has neither `/` nor spaces (dev_valid_name in Linux). */
export const interfaceGlobs = list(
  'at most 64 names of interfaces with * and ?, comma separated',
  (text) => (/^[!-.0-~]{1,15}$/.test(text) ? text : undefined),
  64,
);

const pinsById = list(
  'IDs, each with = and the fingerprint that cryoc status shows of that node, or its key',
  (text) => {
    const [, id, key] = /^([A-Za-z0-9_-]{1,64})=(.{1,64})$/.exec(text) ?? [];
    const pin = key && pinIn(key);
    return id === undefined || !pin ? undefined : [id, pin];
  },
);

/** Identity keys in hexadecimal, or fingerprints, by ID. No ID may have two, and none two IDs. */
export const identities: Codec<ReadonlyMap<string, string>> = {
  ...pinsById,
  parse: (text, origin) => {
    const pairs = pinsById.parse(text, origin);
    if (pairs === undefined) return undefined;
    const keys = new Map(pairs.map(([id, pin]) => [id!, pin!]));
    const distinct = new Set(pairs.map((pair) => pair.join(' '))).size;
    return keys.size === distinct && new Set(keys.values()).size === distinct ? keys : undefined;
  },
  absent: new Map(),
};

/** A name that the kernel takes (dev_valid_name in Linux), and that is no word of its sysctls. */
export const interfaceName: Codec<string> = {
  takes: 'a name of at most 15 letters, digits and _.-',
  parse: (text) => (/^(?!(\.{1,2}|all|default)$)[A-Za-z0-9_.-]{1,15}$/.test(text) ? text : undefined),
};

/** Addresses of interfaces, as the kernel writes them. */
export const addresses = list(
  'at most 64 addresses with their prefix lengths, such as 10.20.2.1/32 and fd20:2::1/128',
  addressWithLength,
  64,
);

/** A key in hexadecimal, or its fingerprint. */
export const identity: Codec<string> = {
  takes: 'the fingerprint that cryoc status shows, or a key',
  parse: pinIn,
};

/** Ed25519 public keys of operators, in hexadecimal. */
export const operatorKeys: Codec<readonly string[]> = list(
  `at most ${maxOperators} operator keys as cryoc operator generate prints them, comma separated`,
  (text) => {
    const key = operatorIn(text);
    return key && Buffer.from(key).toString('hex');
  },
  maxOperators,
);

function within(value: number, min: number, max: number): number | undefined {
  return value >= min && value <= max ? value : undefined;
}

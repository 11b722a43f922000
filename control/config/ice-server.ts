/** Parses the STUN and TURN servers of `--ice-servers`. */
import type { IceServer } from '../../protocol/dataplane.ts';
import { parseDuration } from '../../protocol/duration.ts';
import { CryonetError } from '../../protocol/errors.ts';
import { parseHostPort } from './address.ts';

/** RFC 8489 section 18.6. */
const stunPort = 3478;

/** Seconds, as draft-uberti-behave-turn-rest-00 section 2.2 recommends. */
const usualLifetime = 86_400;
/** Seconds. A shorter lifetime would end before a relayed connection could be replaced. */
const leastLifetime = 20;

/** Parses `stun:host[:port]`, `turn:host[:port][?transport=udp]|user|credential` or `turn:…|user|secret:SECRET[|1h]`: a
 *  URI of RFC 7064 or RFC 7065, for TURN with a user and a credential, or with a secret from which credentials are made
 *  and the time for which each lasts. Undefined for anything else. */
export function parseIceServer(text: string): IceServer | undefined {
  const parts = partsOf(text);
  if (parts === undefined || unservedIceServer(text) !== undefined) return undefined;
  const { scheme, address, transport, user, credential, rest } = parts;
  const at = parseHostPort(address, stunPort);
  if (at === undefined || !isHost(at.host) || at.port === 0) return undefined;
  if (scheme === 'stun')
    return user === undefined && transport === undefined ? { kind: 'stun', ...at } : undefined;
  if (scheme !== 'turn' || !user || !credential) return undefined;
  const secret = /^secret:(.+)$/.exec(credential)?.[1];
  const lifetime = lifetimeFrom(rest);
  if (secret !== undefined && lifetime !== undefined)
    return { kind: 'turn', ...at, user, credential: secret, lifetime };
  return rest.length > 0 || credential.startsWith('secret:')
    ? undefined
    : { kind: 'turn', ...at, user, credential };
}

/** Those named as `host[:port]`. Throws `bad_config`. */
export function stunServersOf(names: readonly string[]): IceServer[] {
  return names.map((each) => {
    const server = parseIceServer(`stun:${each}`);
    if (server?.kind !== 'stun')
      throw new CryonetError('bad_config', `a STUN server is host:port, not ${each}`);
    return server;
  });
}

/** Whether one of them makes relay candidates. */
export function hasTurn({ iceServers }: { readonly iceServers: readonly IceServer[] }): boolean {
  return iceServers.some(({ kind }) => kind === 'turn');
}

/** The lifetime in seconds; undefined if the text is none, or too short. */
function lifetimeFrom([text, ...rest]: readonly string[]): number | undefined {
  if (text === undefined) return usualLifetime;
  const seconds = Math.floor((parseDuration(text) ?? 0) / 1000);
  return rest.length === 0 && seconds >= leastLifetime ? seconds : undefined;
}

/** Why cryonet cannot use a valid ICE server, in words that follow its source; undefined if it can, and for text that is
 *  no ICE server. */
export function unservedIceServer(text: string): string | undefined {
  const parts = partsOf(text);
  if (parts === undefined) return undefined;
  const { scheme, transport } = parts;
  if (scheme === 'stuns' || scheme === 'turns') {
    const plain = scheme.slice(0, -1);
    return `has a server by ${scheme}:, over TLS, which cryonet does not speak: give ${plain}:, over UDP`;
  }
  if (scheme === 'turn' && transport !== undefined && transport !== 'udp') {
    return 'has a TURN server over another transport than UDP, which cryonet does not speak: give ?transport=udp, or none';
  }
  return undefined;
}

function partsOf(text: string) {
  const match = /^(stuns?|turns?):(.*)$/is.exec(text.trim());
  if (match === null) return undefined;
  const [uri = '', user, credential, ...rest] = match[2]!.split('|');
  const [address = '', query] = uri.split(/\?(.*)/s);
  const transport =
    query === undefined ? undefined : (/^transport=([a-z0-9]+)$/i.exec(query)?.[1] ?? '').toLowerCase();
  return { scheme: match[1]!.toLowerCase(), address, transport, user, credential, rest };
}

/** Whether `host` is a name, an IPv4 address, or an IPv6 address, which may have a zone (RFC 4007 section 11). */
function isHost(host: string): boolean {
  if (host.includes(':')) return URL.canParse(`http://[${host.replace(/%[A-Za-z0-9_.-]{1,15}$/, '')}]/`);
  return host.length <= 253 && /^[\p{L}\p{N}_]([\p{L}\p{N}\p{M}_.-]*[\p{L}\p{N}\p{M}_.])?$/u.test(host);
}

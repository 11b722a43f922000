/** Addresses on the command line. */
import type { IceServer } from '../../protocol/dataplane.ts';

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** `host:port`, `[v6]:port` or `:port`; the port may be left out where there is a default. */
export function parseHostPort(text: string, defaultPort?: number): HostPort | undefined {
  const match = /^(?:\[([0-9a-fA-F:.%a-z]+)\]|([^\s:[\]|,]*))(?::(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const host = match[1] ?? match[2] ?? '';
  const port = match[3] === undefined ? defaultPort : Number(match[3]);
  if (port === undefined || port > 65_535) return undefined;
  return { host, port };
}

export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether it is this machine alone that reaches an address to listen at. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127\.[\d.]+|::1|::ffff:127\.[\d.]+)$/i.test(host);
}

/** RFC 8489 section 18.6. */
const stunPort = 3478;

/** A URI of RFC 7064 or RFC 7065, where TURN's also has a user and a credential: `stun:host[:port]` or
 *  `turn:host[:port][?transport=udp]|user|credential`. */
export function parseIceServer(text: string): IceServer | undefined {
  const parts = partsOf(text);
  if (parts === undefined || unservedIceServer(text) !== undefined) return undefined;
  const { scheme, address, transport, user, credential, rest } = parts;
  const at = parseHostPort(address, stunPort);
  if (at === undefined || !isHost(at.host) || at.port === 0) return undefined;
  if (scheme === 'stun')
    return user === undefined && transport === undefined ? { kind: 'stun', ...at } : undefined;
  if (scheme !== 'turn' || !user || !credential || rest.length > 0) return undefined;
  return { kind: 'turn', ...at, user, credential };
}

/** Why an ICE server that others take is none for us; undefined where it is one, or nobody's. */
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

/** A name, an IPv4 address, or an IPv6 address, which may have a zone (RFC 4007 11). */
function isHost(host: string): boolean {
  if (host.includes(':')) return URL.canParse(`http://[${host.replace(/%[A-Za-z0-9_.-]{1,15}$/, '')}]/`);
  return host.length <= 253 && /^[\p{L}\p{N}_]([\p{L}\p{N}\p{M}_.-]*[\p{L}\p{N}\p{M}_.])?$/u.test(host);
}

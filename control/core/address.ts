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

/** RFC 8489 section 18.6. */
const stunPort = 3478;

/** `stun:host[:port]` or `turn:host[:port]|user|credential`. */
export function parseIceServer(text: string): IceServer | undefined {
  const match = /^(stun|turn):(.*)$/s.exec(text.trim());
  if (match === null) return undefined;
  const [address = '', user, credential, ...rest] = match[2]!.split('|');
  const at = parseHostPort(address, stunPort);
  if (at === undefined || at.host === '' || at.port === 0) return undefined;
  if (match[1] === 'stun') return user === undefined ? { kind: 'stun', ...at } : undefined;
  if (!user || !credential || rest.length > 0) return undefined;
  return { kind: 'turn', ...at, user, credential };
}

/** Addresses on the command line. */
import { isIPv4, isIPv6 } from 'node:net';

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

/** `address/length` of an IPv4 or IPv6 address that an interface may have, in the form that the kernel shows (RFC 5952).
 *  Undefined for anything else: multicast, loopback, unspecified and IPv4 in IPv6 are none. */
export function addressWithLength(text: string): string | undefined {
  const [, address = '', digits] = /^([0-9A-Fa-f.:]+)\/(\d{1,3})$/.exec(text) ?? [];
  const length = Number(digits);
  if (isIPv4(address)) {
    const first = Number(address.split('.')[0]);
    return length <= 32 && first !== 0 && first !== 127 && first < 224 ? `${address}/${length}` : undefined;
  }
  if (!isIPv6(address) || length > 128) return undefined;
  const shown = new URL(`http://[${address}]`).hostname.slice(1, -1);
  return /^(::[0-9a-f:]*|ff[0-9a-f]{2}:.*)$/.test(shown) ? undefined : `${shown}/${length}`;
}

/** Whether only this machine can reach a socket that listens at `host`. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127\.[\d.]+|::1|::ffff:127\.[\d.]+)$/i.test(host);
}

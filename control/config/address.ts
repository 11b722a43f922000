/** Addresses on the command line. */
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

/** Whether only this machine can reach a socket that listens at `host`. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127\.[\d.]+|::1|::ffff:127\.[\d.]+)$/i.test(host);
}

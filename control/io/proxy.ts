/**
 * HTTP proxies from the environment, by the rules of curl and Go: `HTTPS_PROXY` for `wss://`, `HTTP_PROXY` for `ws://`,
 * `ALL_PROXY` for both, and `NO_PROXY` for hosts without a proxy. Names in lower case win. The connection is made by
 * CONNECT (RFC 9110 section 9.3.6).
 */
import { BlockList, isIP, type Socket } from 'node:net';
import { formatHostPort } from '../config/address.ts';
import { request } from './http.ts';
import type { Target } from './marked-connection.ts';

export interface Proxy extends Target {
  /** The value of the Proxy-Authorization header. */
  readonly authorization: string | undefined;
  /** The variable that names the proxy. */
  readonly variable: string;
}

export interface Proxies {
  /** The proxy for a `ws://` or `wss://` URL; undefined if none. */
  for(url: URL): Proxy | undefined;
  /** Why variables of the environment cannot be used, without credentials. */
  readonly troubles: readonly string[];
}

export type ProxyVariables = Readonly<Record<string, string | undefined>>;

export const noProxies: Proxies = { for: () => undefined, troubles: [] };

export function readProxies(env: ProxyVariables): Proxies {
  const troubles: string[] = [];
  const all = readProxy(env, 'all_proxy', troubles);
  const plain = readProxy(env, 'http_proxy', troubles) ?? all;
  const secure = readProxy(env, 'https_proxy', troubles) ?? all;
  const exceptions = (given(env, 'no_proxy')?.text ?? '').split(',').map((each) => each.trim().toLowerCase());
  return {
    troubles,
    for: (url) => {
      const proxy = url.protocol === 'wss:' ? secure : plain;
      return proxy === undefined || isExcepted(url, exceptions) ? undefined : proxy;
    },
  };
}

/** Bytes of the proxy's answer up to the end of its headers. */
const maxAnswer = 16_384;

/** Has the proxy connect to `to`. `open` makes the connection to the proxy. */
export async function throughProxy(
  proxy: Proxy,
  to: Target,
  signal: AbortSignal,
  open: (to: Target) => Promise<Socket>,
): Promise<Socket> {
  const shown = `the proxy ${formatHostPort(proxy)} (${proxy.variable})`;
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const fail = (reason: string, cause?: unknown) => reject(new Error(`${shown} ${reason}`, { cause }));
  const socket = await open(proxy).catch((cause: Error) => {
    throw new Error(`${shown} is not reached: ${cause.message}`, { cause });
  });
  const asked = request({
    method: 'CONNECT',
    path: formatHostPort(to),
    headers: {
      host: formatHostPort(to),
      ...(proxy.authorization === undefined ? {} : { 'proxy-authorization': proxy.authorization }),
    },
    setHost: false,
    maxHeaderSize: maxAnswer,
    createConnection: () => socket,
  });
  const abort = () => asked.destroy(new Error('does not answer'));
  signal.addEventListener('abort', abort);
  if (signal.aborted) abort();
  asked.once('connect', ({ statusCode }, connection, head) => {
    if (statusCode !== 200) {
      connection.destroy();
      fail(refusal(statusCode));
      return;
    }
    if (head.length > 0) connection.unshift(head);
    resolve(connection as Socket);
  });
  asked.once('response', (response) => {
    response.destroy();
    fail(refusal(response.statusCode));
  });
  asked.on('error', (error: NodeJS.ErrnoException) => {
    socket.destroy();
    fail(error.code?.startsWith('HPE_') ? 'answers with something else than HTTP' : error.message, error);
  });
  asked.end();
  return promise.finally(() => signal.removeEventListener('abort', abort));
}

function refusal(status: number | undefined): string {
  if (status === 407)
    return 'refuses with 407: it wants a user and a password, http://user:password@host:port';
  return `refuses with ${status}`;
}

function given(env: ProxyVariables, name: string) {
  for (const variable of [name, name.toUpperCase()]) {
    const text = env[variable];
    if (text !== undefined && text !== '') return { text, variable };
  }
  return undefined;
}

function readProxy(env: ProxyVariables, name: string, troubles: string[]): Proxy | undefined {
  const value = given(env, name);
  if (value === undefined) return undefined;
  const { text, variable } = value;
  const full = text.includes('://') ? text : `http://${text}`;
  const url = URL.canParse(full) ? new URL(full) : undefined;
  if (url?.protocol !== 'http:' || url.hostname === '') {
    troubles.push(
      `${variable} names no proxy of the form http://[user:password@]host:port, and others are not used: bootstrap servers are connected to without`,
    );
    return undefined;
  }
  const credentials = `${decoded(url.username)}:${decoded(url.password)}`;
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? 80 : Number(url.port),
    authorization: credentials === ':' ? undefined : `Basic ${Buffer.from(credentials).toString('base64')}`,
    variable,
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Whether a URL is reached without a proxy. Loopback always is. An exception is `*`, a name, which includes its
 *  subdomains, an address, or a network in CIDR notation. Names and addresses may have a port. */
function isExcepted(url: URL, exceptions: readonly string[]): boolean {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  const port = url.port === '' ? (url.protocol === 'wss:' ? '443' : '80') : url.port;
  if (host === 'localhost' || isWithin(host, '127.0.0.0/8') || isWithin(host, '::1/128')) return true;
  return exceptions.some((exception) => {
    if (exception === '*') return true;
    if (exception.includes('/')) return isWithin(host, exception);
    const [, bracketed, plain, ofPort] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(exception) ?? [];
    if (ofPort !== undefined && ofPort !== port) return false;
    const name = (bracketed ?? plain ?? exception).replace(/^\*?\./, '');
    return name !== '' && (host === name || (isIP(host) === 0 && host.endsWith(`.${name}`)));
  });
}

function isWithin(host: string, network: string): boolean {
  const family = isIP(host);
  const [address = '', prefix = ''] = network.split('/');
  if (family === 0 || isIP(address) !== family || !/^\d{1,3}$/.test(prefix)) return false;
  if (Number(prefix) > (family === 4 ? 32 : 128)) return false;
  const type = family === 4 ? 'ipv4' : 'ipv6';
  const list = new BlockList();
  list.addSubnet(address, Number(prefix), type);
  return list.check(host, type);
}

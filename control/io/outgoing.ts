/**
 * Connections of a WebSocket client to bootstrap servers: with a mark if there is one, through a proxy if the environment
 * names one for the server, and with TLS for `wss://`.
 */
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { markedConnection, type Target } from './marked-connection.ts';
import { Turns } from './names.ts';
import { type Proxies, throughProxy } from './proxy.ts';
import type { Trust } from './trust.ts';

export interface OutgoingOptions {
  /** SO_MARK; 0 is none. */
  readonly mark: number;
  /** Called for each connection that is made without the mark, because the kernel refused it. */
  readonly unmarked: (cause: unknown) => void;
  readonly trust: Trust;
  readonly proxies: Proxies;
}

/** A `createConnection` for `http.request`: opens a connection and passes it to `done`. */
export type Connect = (to: unknown, done: (error: Error | null, socket?: Socket) => void) => undefined;

export class Outgoing {
  readonly #options: OutgoingOptions;

  constructor(options: OutgoingOptions) {
    this.#options = options;
  }

  /** Aborting `signal` ends a connection that was not passed to `done` yet. `turns` orders the host's addresses. */
  connect(url: URL, signal: AbortSignal, turns = new Turns()): Connect {
    return (_to, done) => {
      this.#open(url, signal, turns).then(
        (socket) => done(null, socket),
        (error: Error) => done(error),
      );
    };
  }

  async #open(url: URL, signal: AbortSignal, turns: Turns): Promise<Socket> {
    const target = targetOf(url);
    const proxy = this.#options.proxies.for(url);
    const socket =
      proxy === undefined
        ? await this.#plain(target, signal, turns)
        : await throughProxy(proxy, target, signal, (to) => this.#plain(to, signal, turns));
    return url.protocol === 'wss:' ? this.#secured(socket, target.host) : socket;
  }

  #plain(to: Target, signal: AbortSignal, turns: Turns): Promise<Socket> {
    const { mark, unmarked } = this.#options;
    return mark === 0
      ? unmarkedConnection(to, signal, turns)
      : markedConnection(to, mark, unmarked, signal, turns);
  }

  /** An address is no server name (RFC 6066), but the certificate is still checked against it. */
  #secured(socket: Socket, host: string): Socket {
    const secureContext = this.#options.trust.context();
    return connectTls({ socket, host, servername: isIP(host) ? '' : host, secureContext });
  }
}

function unmarkedConnection({ host, port }: Target, signal: AbortSignal, turns: Turns): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = connectTcp({ host, port, lookup: lookUp(turns) });
  socket.on('connectionAttempt', (address) => turns.use(address));
  const abort = () => socket.destroy(new Error(`connect ETIMEDOUT ${host}:${port}`));
  const done = () => signal.removeEventListener('abort', abort);
  signal.addEventListener('abort', abort);
  socket.once('error', (error) => {
    done();
    // With several addresses, the reason of the last one: the error for all together has no text.
    reject(error instanceof AggregateError ? (error.errors.at(-1) ?? error) : error);
  });
  socket.once('connect', () => {
    done();
    socket.removeAllListeners('error');
    resolve(socket);
  });
  if (signal.aborted) abort();
  return promise;
}

function lookUp(turns: Turns): LookupFunction {
  return (host, { all }, done) => {
    turns.of(host).then(
      (found) => (all === true ? done(null, found) : done(null, found[0]!.address, found[0]!.family)),
      (error: NodeJS.ErrnoException) => done(error, []),
    );
  };
}

function targetOf(url: URL): Target {
  const usual = url.protocol === 'wss:' ? 443 : 80;
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? usual : Number(url.port),
  };
}

/**
 * Connections to bootstrap servers, for a WebSocket client: with a mark where there is one, through a proxy where the
 * environment has one for the server, and with TLS for `wss://`.
 */
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { markedConnection, type Target } from './marked-connection.ts';
import { Turns } from './names.ts';
import { type Proxies, throughProxy } from './proxy.ts';
import type { Trust } from './trust.ts';

export interface OutgoingOptions {
  /** SO_MARK; 0: none. */
  readonly mark: number;
  /** The kernel does not let a connection carry the mark: it is made without, each time. */
  readonly unmarked: (cause: unknown) => void;
  readonly trust: Trust;
  readonly proxies: Proxies;
}

/** As the `createConnection` of `http.request`: opens a connection and gives it to `done`. */
export type Connect = (to: unknown, done: (error: Error | null, socket?: Socket) => void) => undefined;

export class Outgoing {
  readonly #options: OutgoingOptions;

  constructor(options: OutgoingOptions) {
    this.#options = options;
  }

  /** Whoever aborts `signal` ends what is not given to `done` yet. `turns`: which of the host's addresses comes first. */
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

  /** A host that is an address is nobody's server name (RFC 6066), and the certificate is compared with it all the same. */
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
    // Where a host has several addresses, the last one's reason: of all of them together there is no text.
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

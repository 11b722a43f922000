/** The local control socket: HTTP over `control.sock` with JSON replies, so that `curl --unix-socket` works. */
import { CryonetError, reasonOf } from '../../protocol/errors.ts';
import { keepRoom, listenUnix } from '../../protocol/listen.ts';
import { controlSocket } from '../../protocol/paths.ts';
import { Retry } from '../../protocol/retry.ts';
import type { Warnings } from '../../protocol/warnings.ts';
import { type ControlConfig, longestPause } from '../config/config.ts';
import type { Answering } from './control-routes.ts';
import { createServer } from './http.ts';

/** Milliseconds for a client to send its whole request. */
const requestTimeout = 10_000;
const maxConnections = 64;

/** Requests on one connection, which bounds the replies that wait for a client that does not read. */
const maxRequestsPerConnection = 16;

/** The folder decides who may ask: in a service, members of the group `cryonet`. */
const socketMode = 0o660;

interface ControlSocket {
  /** Idempotent. */
  close(): void;
}

/** The control socket of a node, which is served as soon as possible. A full or read-only runtime directory does not stop
 *  a node. */
export class PatientControlSocket {
  readonly #retry: Retry;
  #socket: ControlSocket | undefined;
  #closed = false;

  constructor(config: ControlConfig, warnings: Warnings, node: Answering) {
    const path = controlSocket(config.runtimeDirectory);
    this.#retry = new Retry({
      attempt: async () => {
        this.#socket = await openControlSocket(path, node);
        if (this.#closed) this.#socket.close();
        warnings.clear('control-socket');
      },
      failed: (cause) =>
        warnings.set('control-socket', `${reasonOf(cause)}; tried again, cryoc cannot ask until then`),
      passes: (cause) => cause instanceof CryonetError && cause.code === 'unavailable',
      limit: longestPause(config),
    });
  }

  /** Throws `socket_in_use` and `bad_config`. Other failures are a warning, and it is tried again. */
  async open(): Promise<void> {
    await this.#retry.start();
  }

  /** Idempotent, never throws. */
  close(): void {
    this.#closed = true;
    this.#retry.close();
    this.#socket?.close();
  }
}

/** What answers for a node that cannot yet: each question with this error. */
export function refusing(error: CryonetError): Answering {
  const refuse = () => {
    throw error;
  };
  return {
    status: async () => refuse(),
    inquiries: {
      ping: async () => refuse(),
      explain: async () => refuse(),
      netcheck: async () => refuse(),
    },
    policy: refuse,
    policyOn: refuse,
    reload: refuse,
    wouldReload: refuse,
    logLevel: refuse,
    logFrom: async () => refuse(),
    watch: refuse,
    isWatched: () => false,
    figures: async () => refuse(),
    statements: { list: refuse, hear: refuse },
    invitations: { list: refuse, invite: refuse, revoke: refuse },
  };
}

/** Throws `socket_in_use`, `unavailable` or `bad_config`. */
export async function openControlSocket(path: string, node: Answering): Promise<ControlSocket> {
  // Most nodes get no request for days, so the router (40 ms, 12 MB) is loaded with the first one.
  const server = createServer(
    { requestTimeout, headersTimeout: requestTimeout },
    async (request, response) => {
      const { controlRoutes } = await import('./control-routes.ts');
      const listener = controlRoutes(node);
      server.removeAllListeners('request').on('request', listener);
      await listener(request, response);
    },
  );
  // There are fewer watchers than connections, so others find room.
  keepRoom(server, maxConnections, (socket) => node.isWatched(socket));
  server.maxRequestsPerSocket = maxRequestsPerConnection;
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
    else socket.destroy();
  });
  await listenUnix(server, path, socketMode);
  return {
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

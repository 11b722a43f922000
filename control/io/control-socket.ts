/** The local control socket: HTTP over `control.sock`, JSON replies. `curl --unix-socket` works. */
import { createServer } from 'node:http';
import { listenUnix } from '../../protocol/listen.ts';
import type { StatusReport } from '../../protocol/status.ts';

/** Milliseconds to send a request, whole. */
const requestTimeout = 10_000;
const maxConnections = 64;

/** A client that asks and does not read makes replies wait: so many at most. */
const maxRequestsPerConnection = 16;

/** Who may ask is who may enter the folder: in a service, the group `cryonet`. */
const socketMode = 0o660;

export interface ControlSocket {
  /** Idempotent. */
  close(): void;
}

/** Throws `socket_in_use` or `bad_config`. */
export async function openControlSocket(
  path: string,
  status: () => Promise<StatusReport>,
): Promise<ControlSocket> {
  // Most nodes are asked nothing for days: the router is loaded with the first question (40 ms, 12 MB).
  const server = createServer(
    { requestTimeout, headersTimeout: requestTimeout },
    async (request, response) => {
      const { controlRoutes } = await import('./control-routes.ts');
      const listener = controlRoutes(status);
      server.removeAllListeners('request').on('request', listener);
      await listener(request, response);
    },
  );
  server.maxConnections = maxConnections;
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

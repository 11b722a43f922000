/** The local control socket: HTTP over `control.sock`, JSON replies. `curl --unix-socket` works. */
import { createServer, type Server } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { CryonetError, reasonOf } from '../../protocol/errors.ts';
import { listenUnix } from '../../protocol/listen.ts';
import type { StatusReport } from '../../protocol/status.ts';

/** Milliseconds to send a request, whole. */
const requestTimeout = 10_000;
const maxConnections = 64;

export interface ControlSocket {
  /** Idempotent. */
  close(): void;
}

/** Throws `socket_in_use` or `bad_config`. */
export async function openControlSocket(
  path: string,
  status: () => Promise<StatusReport>,
): Promise<ControlSocket> {
  const app = new Hono();
  app.use(bodyLimit({ maxSize: 65_536 }));
  app.get('/status', async (context) => context.json(await status()));
  app.notFound((context) =>
    context.json(
      { error: { code: 'unknown_method', message: `no ${context.req.method} ${context.req.path} here` } },
      404,
    ),
  );
  app.onError((error, context) => {
    const code = error instanceof CryonetError ? error.code : 'internal';
    return context.json({ error: { code, message: reasonOf(error) } }, 500);
  });
  const server: Server = createServer(
    { requestTimeout, headersTimeout: requestTimeout },
    getRequestListener(app.fetch),
  );
  server.maxConnections = maxConnections;
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
    else socket.destroy();
  });
  await listenUnix(server, path);
  return {
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

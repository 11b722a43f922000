/** The routes of the control socket. */
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { CryonetError, reasonOf } from '../../protocol/errors.ts';
import type { StatusReport } from '../../protocol/status.ts';

/** Bytes of the largest request body. */
const maxBody = 65_536;

export function controlRoutes(status: () => Promise<StatusReport>): ReturnType<typeof getRequestListener> {
  const app = new Hono();
  const tooLarge = { code: 'frame_too_large', message: `a body of more than ${maxBody} bytes` };
  app.use(bodyLimit({ maxSize: maxBody, onError: (context) => context.json({ error: tooLarge }, 413) }));
  app.get('/status', async (context) => context.json(await status()));
  app.notFound((context) => {
    const message = `no ${context.req.method} ${context.req.path} here`;
    return context.json({ error: { code: 'unknown_method', message } }, 404);
  });
  app.onError((error, context) => {
    const code = error instanceof CryonetError ? error.code : 'internal';
    return context.json({ error: { code, message: reasonOf(error) } }, code === 'no_token' ? 503 : 500);
  });
  return getRequestListener(app.fetch);
}

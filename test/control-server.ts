/** A control socket that answers as a test wants it. */
import { createServer, type RequestListener } from 'node:http';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { temporaryFolder } from './socket-pair.ts';

/** The path of the socket. */
export async function answering(
  context: TestContext,
  listener: RequestListener,
  path = join(temporaryFolder(context), 'control.sock'),
): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return path;
}

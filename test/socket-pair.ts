/** Two connected Unix sockets in a folder of their own, closed with the test. */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** A folder that goes with the test. */
export function temporaryFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'cryonet-test-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface SocketPairs {
  /** Resolves with both ends of a new connection. */
  open(): Promise<{ ours: Socket; theirs: Socket }>;
}

export async function socketPairs(context: TestContext): Promise<SocketPairs> {
  const path = join(temporaryFolder(context), 'pair.sock');
  const accepted: ((socket: Socket) => void)[] = [];
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    accepted.shift()?.(socket);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  context.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    async open() {
      const ours = new Promise<Socket>((resolve) => accepted.push(resolve));
      const theirs = connect(path);
      sockets.add(theirs);
      theirs.on('error', () => {});
      return { ours: await ours, theirs };
    },
  };
}

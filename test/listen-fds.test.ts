import assert from 'node:assert/strict';
import { existsSync, renameSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { RpcConnection } from '../protocol/rpc.ts';
import { takeListenFds } from '../service/listen-fds.ts';
import { waitFor } from './native/wait.ts';
import { openManager, startService } from './service-manager.ts';
import { temporaryFolder } from './socket-pair.ts';

const taken = (env: Record<string, string>) => Object.fromEntries(takeListenFds(env, 7));

test('descriptors are found by name, from 3 on; the first of one name', () => {
  assert.deepEqual(taken({ LISTEN_PID: '7', LISTEN_FDS: '3', LISTEN_FDNAMES: 'a:b:a' }), { a: 3, b: 4 });
  assert.deepEqual(taken({ LISTEN_PID: '7', LISTEN_FDS: '1' }), { unknown: 3 });
});

test('what is meant for another process, or makes no sense, is none', () => {
  for (const env of [
    {},
    { LISTEN_PID: '8', LISTEN_FDS: '1', LISTEN_FDNAMES: 'a' },
    { LISTEN_FDS: '1', LISTEN_FDNAMES: 'a' },
    { LISTEN_PID: '7', LISTEN_FDNAMES: 'a' },
    { LISTEN_PID: '7', LISTEN_FDS: '-1', LISTEN_FDNAMES: 'a' },
    { LISTEN_PID: '7', LISTEN_FDS: 'x', LISTEN_FDNAMES: 'a' },
  ]) {
    assert.deepEqual(taken({ ...env } as Record<string, string>), {});
  }
});

test('the variables are gone afterwards, taken or not', () => {
  for (const pid of ['7', '8']) {
    const env = { LISTEN_PID: pid, LISTEN_FDS: '1', LISTEN_FDNAMES: 'a', HOME: '/' };
    takeListenFds(env, 7);
    assert.deepEqual(env, { HOME: '/' });
  }
});

/** A listening socket to hand over. Closed by `server`, it stays at `path`: this process must not accept for the other. */
async function heldSocket(context: TestContext): Promise<{ path: string; server: Server; fd: number }> {
  const folder = temporaryFolder(context);
  const path = join(folder, 'held.sock');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(join(folder, 'at-first.sock'), resolve));
  renameSync(join(folder, 'at-first.sock'), path);
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
  return { path, server, fd };
}

test('the dataplane serves the socket it is handed, says that it is ready before any control comes, and leaves the socket there', async (context) => {
  const manager = await openManager(context);
  const { path, server, fd } = await heldSocket(context);
  const own = join(temporaryFolder(context), 'own.sock');
  const env = { NOTIFY_SOCKET: manager.address };
  const dataplane = startService(context, 'dataplane/main.ts', ['--socket', own], env, fd);
  server.close();
  await waitFor('readiness', () => manager.heard.length > 0, 10_000);
  assert.deepEqual(manager.heard, ['READY=1 STATUS=no control attached; links stay as they are']);
  assert.ok(!existsSync(own));
  const socket = connect(path);
  const rpc = new RpcConnection(socket, {
    request: () => Promise.reject(new Error('nobody asks')),
    notification: () => {},
    closed: () => {},
  });
  await assert.rejects(rpc.call('stats', {}), { code: 'bad_message', message: 'hello comes first' });
  rpc.close();
  dataplane.child.kill('SIGTERM');
  assert.deepEqual(await dataplane.ended(), { code: 0, signal: null });
  await waitFor('the stop to be heard', () => manager.heard.includes('STOPPING=1'));
  assert.ok(existsSync(path), 'the next start is handed it again');
});

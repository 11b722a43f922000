import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync } from 'node:fs';
import { createServer as createSocketServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { call } from '../cli/control-client.ts';
import { CryonetError } from '../protocol/errors.ts';
import { problemOf } from '../protocol/problem.ts';
import { answering } from './control-server.ts';
import { waitFor } from './native/wait.ts';
import { temporaryFolder } from './socket-pair.ts';

async function listening(context: TestContext, serve: (socket: Socket) => void): Promise<string> {
  const path = join(temporaryFolder(context), 'control.sock');
  const sockets = new Set<Socket>();
  const server = createSocketServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  context.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return path;
}

/** What `cryoc status` says, to a user other than the one of this test where `uid` says so. */
function cryoc(
  args: readonly string[],
  options: { uid?: number; gid?: number; env?: NodeJS.ProcessEnv } = {},
) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(import.meta.dirname, '../cli/main.ts'), ...args, 'status'],
    { encoding: 'utf8', timeout: 20_000, ...options },
  );
  return { status, stdout, stderr };
}

test('a socket that is not there says so, and how to reach another', async (context) => {
  const missing = join(temporaryFolder(context), 'none.sock');
  await assert.rejects(call(missing, 'GET /v1/status'), {
    code: 'no_control',
    message: `no cryonet runs here: there is no ${missing}; another one: --runtime-dir`,
  });
});

test('a socket that a killed node left says that it has ended', async (context) => {
  const path = join(temporaryFolder(context), 'control.sock');
  const child = spawn(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(path)})`,
  ]);
  await waitFor('the socket', () => existsSync(path));
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('exit', resolve));
  await assert.rejects(call(path, 'GET /v1/status'), {
    code: 'no_control',
    message: `no cryonet runs here: the one that made ${path} has ended; another one: --runtime-dir`,
  });
});

for (const [what, serve] of [
  ['says nothing', () => {}],
  ['sends a byte now and then', (socket) => void setInterval(() => socket.write('x'), 100).unref()],
  [
    'begins an answer and does not end it',
    (socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{'),
  ],
] as readonly [what: string, serve: (socket: Socket) => void][]) {
  test(`a node that ${what} hangs, after two seconds in all`, async (context) => {
    const path = await listening(context, (socket) => {
      if (what.startsWith('sends')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n');
      serve(socket);
    });
    const start = performance.now();
    await assert.rejects(call(path, 'GET /v1/status'), {
      code: 'no_control',
      message: /^cryonet has not answered at .*control\.sock for 2 s: it hangs/,
    });
    const took = performance.now() - start;
    assert.ok(took >= 1990 && took < 10_000, `${took} ms`);
  });
}

test('who may not ask is told who may', {
  skip: process.getuid?.() !== 0 && 'needs root',
}, async (context) => {
  const path = await listening(context, (socket) => void socket.end());
  const nobody = { uid: 65_534, gid: 65_534, env: { HOME: '/' } };
  chmodSync(dirname(path), 0o755);
  for (const [mode, gid, said] of [
    [0o660, 1, /it is for root and for members of the group daemon \(sudo usermod -aG daemon \$USER/],
    [0o600, 0, /it is for the user root alone/],
  ] as const) {
    chownSync(path, 0, gid);
    chmodSync(path, mode);
    const { status, stdout, stderr } = cryoc(['--socket', path], nobody);
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(stderr, /^cryoc: no permission to ask the cryonet at .*\n$/);
    assert.match(stderr, said);
  }
  chmodSync(path, 0o666);
  chownSync(dirname(path), 0, 1);
  chmodSync(dirname(path), 0o750);
  assert.match(cryoc(['--socket', path], nobody).stderr, /no permission .* members of the group daemon/);
});

test('a node without a token says what it waits for', async (context) => {
  const message = 'the node is waiting for a token in /etc/cryonet/token, the same on all nodes';
  const path = await answering(context, (_request, response) => {
    const problem = problemOf(new CryonetError('no_token', message));
    response.writeHead(problem.status).end(JSON.stringify(problem));
  });
  await assert.rejects(call(path, 'GET /v1/status'), { code: 'no_token', message });
});

test('an error reply is told in its own words', async (context) => {
  const path = await answering(context, (_request, response) => {
    response.writeHead(500).end(JSON.stringify(problemOf(new Error('out of order'))));
  });
  await assert.rejects(call(path, 'GET /v1/status'), { code: 'internal', message: 'out of order' });
});

const replies: readonly [what: string, status: number, body: string, code: string, message: RegExp][] = [
  ['no JSON', 200, 'hello', 'bad_message', /does not speak JSON/],
  ['no status report', 200, '{"version":1}', 'bad_message', /^version: /],
  ['an empty reply', 200, '', 'bad_message', /does not speak JSON/],
  ['a route that an older node does not have', 404, '{"error":{}}', 'version_mismatch', /start it again/],
  ['an error that is null', 500, 'null', 'bad_message', /status 500/],
];

for (const [what, status, body, code, message] of replies) {
  test(`${what} is ${code}, on one line`, async (context) => {
    const path = await answering(context, (_request, response) => void response.writeHead(status).end(body));
    await assert.rejects(call(path, 'GET /v1/status'), { code, message });
  });
}

test('a server that hangs up, or speaks something else, is no_control', async (context) => {
  const path = join(temporaryFolder(context), 'control.sock');
  const server = createSocketServer((socket) => void socket.end('SSH-2.0-OpenSSH_9.2\r\n'));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  context.after(() => server.close());
  await assert.rejects(call(path, 'GET /v1/status'), {
    code: 'no_control',
    message: new RegExp(`^${path}: `),
  });
});

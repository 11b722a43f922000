import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createSocketServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { getJson } from '../cli/control-client.ts';
import { temporaryFolder } from './socket-pair.ts';

async function answering(context: TestContext, listener: RequestListener): Promise<string> {
  const path = join(temporaryFolder(context), 'control.sock');
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return path;
}

test('a socket that is not there, or that nobody serves, says how to reach another', async (context) => {
  const missing = join(temporaryFolder(context), 'none.sock');
  await assert.rejects(getJson(missing, '/status'), {
    code: 'no_control',
    message: `no cryonet runs here (${missing}); another one: --runtime-dir`,
  });
});

test('an error reply is told in its own words', async (context) => {
  const path = await answering(context, (_request, response) => {
    response.writeHead(500).end('{"error":{"code":"internal","message":"out of order"}}');
  });
  await assert.rejects(getJson(path, '/status'), { code: 'internal', message: 'out of order' });
});

const replies: readonly [what: string, status: number, body: string, code: string, message: RegExp][] = [
  ['no JSON', 200, 'hello', 'bad_message', /does not speak JSON/],
  ['no status report', 200, '{"version":1}', 'bad_message', /^version: /],
  ['an empty reply', 200, '', 'bad_message', /does not speak JSON/],
  ['an error without words', 404, '{}', 'internal', /status 404/],
  ['an error that is null', 500, 'null', 'internal', /status 500/],
];

for (const [what, status, body, code, message] of replies) {
  test(`${what} is ${code}, on one line`, async (context) => {
    const path = await answering(context, (_request, response) => void response.writeHead(status).end(body));
    await assert.rejects(getJson(path, '/status'), { code, message });
  });
}

test('a server that hangs up, or speaks something else, is no_control', async (context) => {
  const path = join(temporaryFolder(context), 'control.sock');
  const server = createSocketServer((socket) => void socket.end('SSH-2.0-OpenSSH_9.2\r\n'));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  context.after(() => server.close());
  await assert.rejects(getJson(path, '/status'), { code: 'no_control', message: new RegExp(`^${path}: `) });
});

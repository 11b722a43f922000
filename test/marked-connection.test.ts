import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import dns from 'node:dns/promises';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { type AddressInfo, createServer, isIPv6, type Server, Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { Turns } from '../control/io/names.ts';
import { Outgoing } from '../control/io/outgoing.ts';
import { noProxies } from '../control/io/proxy.ts';
import { Trust } from '../control/io/trust.ts';
import { dial, local, serve } from './bootstrap-lab.ts';
import { waitFor } from './native/wait.ts';
import { temporaryFolder } from './socket-pair.ts';

const root = process.geteuid!() === 0;

async function listening(context: TestContext, server: Server, host: string): Promise<number> {
  server.listen(0, host);
  await once(server, 'listening');
  context.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** Says back what it hears. */
const echo = () => createServer((socket) => socket.pipe(socket).on('error', () => {}));

interface Attempt {
  readonly error: Error | null;
  readonly socket: Socket | undefined;
  readonly refused: unknown[];
}

async function attempt(
  context: TestContext,
  host: string,
  port: number,
  {
    mark = 42,
    tls = false,
    ca = null,
    signal = new AbortController().signal,
  }: { mark?: number; tls?: boolean; ca?: readonly string[] | null; signal?: AbortSignal } = {},
): Promise<Attempt> {
  const refused: unknown[] = [];
  const { promise, resolve } = Promise.withResolvers<Attempt>();
  const outgoing = new Outgoing({
    mark,
    unmarked: (cause) => void refused.push(cause),
    trust: new Trust(ca),
    proxies: noProxies,
  });
  const shown = isIPv6(host) ? `[${host}]` : host;
  const url = new URL(`${tls ? 'wss' : 'ws'}://${shown}:${port}`);
  outgoing.connect(url, signal)({}, (error, socket) => resolve({ error, socket, refused }));
  const made = await promise;
  context.after(() => made.socket?.destroy());
  return made;
}

async function answers(socket: Socket | undefined): Promise<void> {
  socket!.write('there?');
  assert.equal(String((await once(socket!, 'data'))[0]), 'there?');
}

/** Runs as who may mark nothing. */
async function withoutPrivilege<T>(run: () => Promise<T>): Promise<T> {
  if (root) process.seteuid!(65_534);
  try {
    return await run();
  } finally {
    if (root) process.seteuid!(0);
  }
}

test('a connection carries bytes both ways, by either family', async (context) => {
  for (const host of ['127.0.0.1', '::1']) {
    const { socket, refused } = await attempt(context, host, await listening(context, echo(), host));
    await answers(socket);
    assert.equal(refused.length, root ? 0 : 1);
  }
});

/** Makes a host have these addresses. */
function resolving(context: TestContext, ...addresses: readonly string[]): void {
  const found = addresses.map((address) => ({ address, family: isIPv6(address) ? 6 : 4 }));
  const mock = context.mock.method(dns, 'lookup', async () => found);
  syncBuiltinESMExports();
  context.after(() => {
    mock.mock.restore();
    syncBuiltinESMExports();
  });
}

for (const mark of [0, 42]) {
  test(`a name whose first address accepts and is of no use: the next one has its turn first, and keeps it${mark ? ', with a mark' : ''}`, async (context) => {
    const served = await serve(context);
    let visits = 0;
    const deaf = createServer((socket) => {
      visits++;
      socket.on('error', () => {}).destroy();
    });
    deaf.listen(served.port, '127.0.0.2');
    await once(deaf, 'listening');
    context.after(() => deaf.close());
    resolving(context, '127.0.0.2', '127.0.0.1');
    const outgoing = new Outgoing({ mark, unmarked: () => {}, trust: new Trust(null), proxies: noProxies });
    const { proven, failures } = dial(context, `ws://several.example:${served.port}`, local('a'), outgoing);
    await waitFor('the second address', () => proven.length === 1);
    assert.deepEqual([failures.length, visits], [1, 1]);
    served.neighbors[0]!.neighbor.close();
    await waitFor('the connection anew', () => proven.length === 2);
    assert.equal(visits, 1);
  });
}

test('of addresses that all fail the one that failed longest ago is next', async (context) => {
  resolving(context, 'a', 'b', 'c');
  const turns = new Turns();
  const tried: string[] = [];
  for (let i = 0; i < 7; i++) {
    const { address } = (await turns.of('several.example'))[0]!;
    tried.push(address);
    turns.use(address);
    turns.failed();
  }
  assert.deepEqual(tried.join(''), 'abcabca');
});

for (const [one, other] of [
  ['::1', '127.0.0.1'],
  ['127.0.0.1', '::1'],
] as const) {
  test(`each address of a host is tried in its order: where ${one} does not answer, ${other} does`, async (context) => {
    const port = await listening(context, echo(), other);
    resolving(context, one, other);
    const { socket } = await attempt(context, 'two.example', port);
    await answers(socket);
    assert.equal(socket?.remoteAddress, other);
  });
}

test('of two addresses that answer the first is taken', async (context) => {
  const port = await listening(context, echo(), '127.0.0.1');
  resolving(context, '127.0.0.1', '127.0.0.2');
  assert.equal((await attempt(context, 'two.example', port)).socket?.remoteAddress, '127.0.0.1');
});

test('where no address answers, the last one’s reason is told', async (context) => {
  const server = echo();
  const port = await listening(context, server, '127.0.0.1');
  server.close();
  await once(server, 'close');
  const { error, socket } = await attempt(context, '127.0.0.1', port);
  assert.equal((error as NodeJS.ErrnoException).code, 'ECONNREFUSED');
  assert.equal(socket, undefined);
});

test('where none of several addresses answers to a connection without a mark, a reason is told, too', async (context) => {
  const server = echo();
  const port = await listening(context, server, '127.0.0.1');
  server.close();
  await once(server, 'close');
  resolving(context, '127.0.0.1', '127.0.0.2');
  const { error } = await attempt(context, 'two.example', port, { mark: 0 });
  assert.match(error!.message, /ECONNREFUSED 127\.0\.0\.[12]/);
});

test('a host without an address is an error', async (context) => {
  const { error } = await attempt(context, 'nowhere.invalid', 1);
  assert.match(error!.message, /nowhere\.invalid/);
});

test('who may not mark is told why, and is connected all the same', async (context) => {
  const port = await listening(context, echo(), '127.0.0.1');
  const { socket, refused } = await withoutPrivilege(() => attempt(context, '127.0.0.1', port));
  await answers(socket);
  assert.deepEqual(
    refused.map((cause) => (cause as NodeJS.ErrnoException).code),
    ['EPERM'],
  );
});

const openssl = spawnSync('openssl', ['version']).status === 0;

test('TLS is inside: the server is asked for by its name, by none where that is an address, and proves it', {
  skip: openssl ? false : 'needs openssl',
}, async (context) => {
  const folder = temporaryFolder(context);
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')] as const;
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  const args = ['req', '-x509', ...curve, '-nodes', '-days', '1', '-keyout', key, '-out', cert, ...names];
  assert.equal(spawnSync('openssl', args).status, 0);
  const asked: unknown[] = [];
  const server = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, (socket) => {
    asked.push(socket.servername);
    socket.on('error', () => {}).end('here');
  });
  const port = await listening(context, server, '127.0.0.1');
  const doubted = await attempt(context, '127.0.0.1', port, { tls: true });
  const [error] = await once(doubted.socket!, 'error');
  assert.equal(error.code, 'DEPTH_ZERO_SELF_SIGNED_CERT');
  asked.length = 0;
  for (const host of ['127.0.0.1', 'localhost']) {
    const { socket } = await attempt(context, host, port, { tls: true, ca: [readFileSync(cert, 'utf8')] });
    assert.equal(String((await once(socket!, 'data'))[0]), 'here');
  }
  assert.deepEqual(asked, [false, 'localhost']);
});

for (const mark of [42, 0]) {
  test(`of hundreds of addresses that do not answer, none is tried any more once nobody waits${mark ? ', with a mark' : ''}`, async (context) => {
    resolving(context, ...Array.from({ length: 500 }, () => '127.0.0.1'));
    const end = new AbortController();
    const opened = context.mock.method(Socket.prototype, 'connect', function (this: Socket) {
      return this;
    });
    const attempted = attempt(context, mark === 0 ? '127.0.0.1' : 'many.example', 9, {
      mark,
      signal: end.signal,
    });
    await new Promise((resolve) => setImmediate(resolve));
    end.abort();
    assert.match((await attempted).error!.message, /ETIMEDOUT/);
    assert.equal(opened.mock.callCount(), 1);
  });
}

test('of a name that is not resolved one look-up is under way, however often it is tried', async (context) => {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const mock = context.mock.method(dns, 'lookup', () => promise);
  syncBuiltinESMExports();
  context.after(() => {
    mock.mock.restore();
    syncBuiltinESMExports();
  });
  const ends: AbortController[] = [];
  const attempts = [0, 42, 0, 42].map((mark) => {
    const end = new AbortController();
    ends.push(end);
    return attempt(context, 'slow.example', 9, { mark, signal: end.signal });
  });
  await new Promise((next) => setImmediate(next));
  for (const end of ends) end.abort();
  await new Promise((next) => setImmediate(next));
  assert.equal(mock.mock.callCount(), 1);
  resolve([{ address: '127.0.0.1', family: 4 }]);
  for (const { error, socket } of await Promise.all(attempts)) {
    assert.notEqual(error, null);
    assert.equal(socket, undefined);
  }
});

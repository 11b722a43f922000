import assert from 'node:assert/strict';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Outgoing } from '../control/io/outgoing.ts';
import { readProxies } from '../control/io/proxy.ts';
import { Trust } from '../control/io/trust.ts';
import { dial, local, serve } from './bootstrap-lab.ts';
import { Authority, lacksOpenssl } from './certificates-lab.ts';
import { waitFor } from './native/wait.ts';
import { temporaryFolder } from './socket-pair.ts';

const password = 'p@ss:w%rd';

/** An HTTP proxy that serves CONNECT to whom names a user, and the connections that it made. */
async function proxying(context: TestContext): Promise<{ port: number; made: string[] }> {
  const made: string[] = [];
  const sockets: Socket[] = [];
  const proxy = createHttpServer((_request, response) => void response.writeHead(405).end());
  proxy.on('connect', (request, client: Socket, head: Buffer) => {
    sockets.push(client.on('error', () => {}));
    const given = Buffer.from(
      request.headers['proxy-authorization']?.split(' ')[1] ?? '',
      'base64',
    ).toString();
    if (given !== `user:${password}`) {
      client.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="x"\r\n\r\n');
      return;
    }
    made.push(request.url!);
    const { port, hostname } = new URL(`http://${request.url}`);
    const server = connect(Number(port), hostname, () => {
      client.write('HTTP/1.1 200 Connection established\r\nX-Via: this\r\n\r\n');
      server.write(head);
      client.pipe(server).pipe(client);
    });
    sockets.push(server.on('error', () => client.destroy()));
  });
  const port = await listening(context, proxy);
  context.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  return { port, made };
}

async function listening(context: TestContext, server: ReturnType<typeof createServer>): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  return (server.address() as { port: number }).port;
}

const through = (proxy: string, ca: readonly string[] | null = null, mark = 0) => {
  const proxies = readProxies({ ALL_PROXY: proxy });
  assert.deepEqual(proxies.troubles, []);
  // Loopback, where these tests are, has no proxy otherwise.
  const always = { for: () => proxies.for(new URL('wss://elsewhere.example')), troubles: [] };
  return new Outgoing({ mark, unmarked: () => {}, trust: new Trust(ca), proxies: always });
};

const encoded = encodeURIComponent(password);

for (const mark of [0, 42]) {
  test(`a ws:// server is joined through a proxy${mark ? ', with a mark' : ''}`, async (context) => {
    const [served, { port, made }] = [await serve(context), await proxying(context)];
    const outgoing = through(`http://user:${encoded}@127.0.0.1:${port}`, null, mark);
    const { proven } = dial(context, served.url, local('a'), outgoing);
    await waitFor('the server', () => proven.length === 1);
    assert.deepEqual(made, [`127.0.0.1:${served.port}`]);
  });
}

test('a wss:// server is joined through a proxy', { skip: lacksOpenssl }, async (context) => {
  const authority = new Authority(temporaryFolder(context));
  const served = await serve(context, { tls: authority.sign('127.0.0.1') });
  const { port, made } = await proxying(context);
  const outgoing = through(`http://user:${encoded}@127.0.0.1:${port}`, [authority.certificate]);
  const { proven } = dial(context, served.url, local('a'), outgoing);
  await waitFor('the server', () => proven.length === 1);
  assert.equal(made.length, 1);
});

test('a proxy that refuses, or is not there, is named without the password', async (context) => {
  const [served, { port, made }] = [await serve(context), await proxying(context)];
  for (const [proxy, words] of [
    [
      `http://user:hidden@127.0.0.1:${port}`,
      /^the proxy 127\.0\.0\.1:\d+ \(ALL_PROXY\) refuses with 407: it wants/,
    ],
    [
      'http://user:hidden@127.0.0.1:1',
      /^the proxy 127\.0\.0\.1:1 \(ALL_PROXY\) is not reached: .*ECONNREFUSED/,
    ],
  ] as const) {
    const { failures, client } = dial(context, served.url, local('a'), through(proxy));
    await waitFor('a failure', () => failures.length > 0);
    assert.match(failures[0]!.message, words);
    assert.doesNotMatch(`${failures[0]!.message} ${client.error} ${client.url}`, /hidden/);
    client.close();
  }
  assert.deepEqual(made, []);
});

const hostile: readonly [what: string, answer: (socket: Socket) => void, words: RegExp][] = [
  [
    'an endless header',
    (socket) => void endless(socket, 'HTTP/1.1 200 OK\r\n', 'X-A: b\r\n'),
    /something else than HTTP$/,
  ],
  [
    'an endless line',
    (socket) => void endless(socket, 'HTTP/1.1 200 ', 'x'.repeat(1000)),
    /something else than HTTP$/,
  ],
  ['garbage', (socket) => void socket.write('SSH-2.0-x\r\n'), /something else than HTTP$/],
  [
    'an endless refusal',
    (socket) => void endless(socket, 'HTTP/1.1 500 x\r\n\r\n', 'x'.repeat(1000)),
    /refuses with 500$/,
  ],
  ['an end', (socket) => void socket.end(), /\(ALL_PROXY\) \S/],
];

/** Writes for as long as anybody reads. */
function endless(socket: Socket, first: string, more: string): void {
  socket.write(first);
  const write = () => {
    if (!socket.destroyed) socket.write(more.repeat(100), () => setImmediate(write));
  };
  write();
}

for (const [what, answer, words] of hostile) {
  test(`a proxy that answers with ${what} fails the attempt at once, and is heard no more`, async (context) => {
    const sockets: Socket[] = [];
    const port = await listening(
      context,
      createServer((socket) => {
        sockets.push(socket.on('error', () => {}));
        socket.once('data', () => answer(socket));
      }),
    );
    const { failures, client } = dial(context, 'ws://127.0.0.1:1', local('a'), through(`127.0.0.1:${port}`));
    await waitFor('a failure', () => failures.length > 0);
    client.close();
    assert.match(failures[0]!.message, words);
    await waitFor('the end of each connection', () => sockets.every(({ destroyed }) => destroyed));
  });
}

test('a proxy that says nothing is given up after 8 s', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const sockets: Socket[] = [];
  const silent = createServer((socket) => {
    sockets.push(socket.on('error', () => {}).resume());
  });
  const port = await listening(context, silent);
  const { failures } = dial(context, 'ws://127.0.0.1:1', local('a'), through(`127.0.0.1:${port}`));
  const turns = async (done: () => boolean) => {
    for (let i = 0; i < 2000 && !done(); i++) await new Promise((resolve) => setImmediate(resolve));
  };
  await turns(() => sockets.length === 1);
  for (let second = 0; second < 8; second++) {
    assert.equal(failures.length, 0, `after ${second} s`);
    context.mock.timers.tick(1000);
  }
  await turns(() => failures.length > 0 && sockets[0]!.destroyed);
  assert.match(failures[0]!.message, /^no WebSocket within 8 s$/);
  assert.ok(sockets[0]!.destroyed);
});

const elsewhere = 'ws://h.example:81';
const choices: readonly [env: Record<string, string>, url: string, proxy: string | undefined][] = [
  [{ HTTP_PROXY: 'http://p:3128' }, elsewhere, 'p:3128'],
  [{ HTTP_PROXY: 'p:3128' }, elsewhere, 'p:3128'],
  [{ HTTP_PROXY: 'http://p' }, elsewhere, 'p:80'],
  [{ HTTP_PROXY: 'http://[2001:db8::1]:8080/' }, elsewhere, '2001:db8::1:8080'],
  [{ HTTP_PROXY: 'http://p' }, 'wss://h.example', undefined],
  [{ HTTPS_PROXY: 'http://p' }, 'wss://h.example', 'p:80'],
  [{ HTTPS_PROXY: 'http://p' }, elsewhere, undefined],
  [{ ALL_PROXY: 'http://a', HTTP_PROXY: 'http://p' }, elsewhere, 'p:80'],
  [{ ALL_PROXY: 'http://a', HTTP_PROXY: 'http://p' }, 'wss://h.example', 'a:80'],
  [{ http_proxy: 'http://lower', HTTP_PROXY: 'http://upper' }, elsewhere, 'lower:80'],
  [{ http_proxy: '', HTTP_PROXY: 'http://upper' }, elsewhere, 'upper:80'],
  [{ HTTP_PROXY: 'http://p' }, 'ws://localhost:81', undefined],
  [{ HTTP_PROXY: 'http://p' }, 'ws://127.3.4.5', undefined],
  [{ HTTP_PROXY: 'http://p' }, 'ws://[::1]:81', undefined],
  [{ HTTP_PROXY: 'http://p', NO_PROXY: '*' }, elsewhere, undefined],
  [{ HTTP_PROXY: 'http://p', NO_PROXY: 'x, example' }, elsewhere, undefined],
  [{ HTTP_PROXY: 'http://p', NO_PROXY: '.EXAMPLE' }, elsewhere, undefined],
  [{ HTTP_PROXY: 'http://p', no_proxy: '*.example' }, elsewhere, undefined],
  [{ HTTP_PROXY: 'http://p', NO_PROXY: 'h.example:81' }, elsewhere, undefined],
  [{ HTTP_PROXY: 'http://p', NO_PROXY: 'h.example:82' }, elsewhere, 'p:80'],
  [{ HTTP_PROXY: 'http://p', NO_PROXY: 'ample,h.exampl,,' }, elsewhere, 'p:80'],
  [{ HTTP_PROXY: 'http://p', NO_PROXY: '192.0.2.0/24' }, 'ws://192.0.2.7', undefined],
  [{ HTTP_PROXY: 'http://p', NO_PROXY: '192.0.2.0/24' }, 'ws://192.0.3.7', 'p:80'],
  [{ HTTP_PROXY: 'http://p', NO_PROXY: '192.0.2.0/99,192.0.2.0/,/,2001:db8::/64' }, 'ws://192.0.2.7', 'p:80'],
  [{ HTTP_PROXY: 'http://p', NO_PROXY: '2001:db8::/32' }, 'ws://[2001:db8::7]', undefined],
  [{ HTTP_PROXY: 'http://p', NO_PROXY: '2001:db8::7' }, 'ws://[2001:db8::7]', undefined],
  [{ HTTP_PROXY: 'http://p', NO_PROXY: '2.7' }, 'ws://192.0.2.7', 'p:80'],
  [{}, elsewhere, undefined],
];

for (const [env, url, expected] of choices) {
  test(`proxy: ${JSON.stringify(env)}: ${url} by ${expected ?? 'none'}`, () => {
    const { troubles, for: choose } = readProxies(env);
    const proxy = choose(new URL(url));
    assert.equal(proxy && `${proxy.host}:${proxy.port}`, expected);
    assert.deepEqual(troubles, []);
  });
}

test('a proxy of another kind is a trouble, told without its password, and is not used', () => {
  for (const given of [
    'socks5://u:hidden@p:1080',
    'https://u:hidden@p',
    'http://',
    'a b',
    'http://u:hidden@p:99999',
  ]) {
    const { troubles, for: choose } = readProxies({ all_proxy: given });
    assert.equal(troubles.length, 1, given);
    assert.match(troubles[0]!, /^all_proxy names no proxy of the form http:/);
    assert.doesNotMatch(troubles[0]!, /hidden/);
    assert.equal(choose(new URL(elsewhere)), undefined);
  }
});

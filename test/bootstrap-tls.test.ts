import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { readCertificates } from '../control/config/certificates.ts';
import { Outgoing } from '../control/io/outgoing.ts';
import { noProxies } from '../control/io/proxy.ts';
import { Trust, tlsTrouble } from '../control/io/trust.ts';
import { dial, join as joinNode, local, outlastsProof, rawExchange, serve } from './bootstrap-lab.ts';
import { Authority, lacksOpenssl } from './certificates-lab.ts';
import { waitFor } from './native/wait.ts';
import { temporaryFolder } from './socket-pair.ts';

const trusting = (ca: readonly string[] | null) =>
  new Outgoing({ mark: 0, unmarked: () => {}, trust: new Trust(ca), proxies: noProxies });

async function listening(context: TestContext, server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  return `wss://127.0.0.1:${(server.address() as { port: number }).port}`;
}

suite('a bootstrap server with TLS', { skip: lacksOpenssl }, () => {
  test('gives a connection thirty seconds to prove itself, and then all the time there is', async (context) => {
    const authority = new Authority(temporaryFolder(context));
    await outlastsProof(context, authority.sign('127.0.0.1'));
  });

  test('is joined where its CA is given, and not where it is not, which is said in words of use', async (context) => {
    const authority = new Authority(temporaryFolder(context));
    const served = await serve(context, { tls: authority.sign('127.0.0.1') });
    const known = dial(context, served.url, local('a'), trusting([authority.certificate]));
    const unknown = dial(context, served.url, local('b'), trusting(null));
    await waitFor('the server', () => known.proven.length === 1);
    await waitFor('a failure', () => unknown.failures.length > 0);
    assert.match(
      unknown.failures[0]!.message,
      /^its certificate is from a CA that is not known here: .*--tls-ca$/,
    );
    assert.equal(unknown.proven.length, 0);
  });

  // Records as in RFC 8446, section 5.1: 22 is a handshake, in which 1 is a ClientHello, and 21 is an alert.
  const strangers: readonly [what: string, bytes: string | Uint8Array][] = [
    ['random bytes', Uint8Array.from({ length: 5000 }, (_, i) => (i * 37 + 11) & 255)],
    ['zeros', new Uint8Array(5000)],
    ['a request without TLS', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a ClientHello of one byte', Buffer.of(22, 3, 1, 0, 5, 1, 0, 0, 1, 3)],
    ['a record longer than any', Buffer.concat([Buffer.of(22, 3, 1, 255, 255), Buffer.alloc(65_535)])],
    ['an alert', Buffer.of(21, 3, 3, 0, 2, 2, 40)],
  ];

  for (const [what, bytes] of strangers) {
    test(`closes a connection that says ${what}, and serves the next`, async (context) => {
      const authority = new Authority(temporaryFolder(context));
      const served = await serve(context, { tls: authority.sign('127.0.0.1') });
      assert.doesNotMatch(await rawExchange(context, served, bytes), /HTTP/);
      await joinNode(context, served);
      await waitFor('the neighbor', () => served.neighbors.length === 1);
    });
  }

  test('closes a connection that says what is no HTTP, within TLS', async (context) => {
    const authority = new Authority(temporaryFolder(context));
    const served = await serve(context, { tls: authority.sign('127.0.0.1') });
    const socket = connectTls({ host: '127.0.0.1', port: served.port, rejectUnauthorized: false });
    socket.on('error', () => {}).resume();
    context.after(() => void socket.destroy());
    await once(socket, 'secureConnect');
    socket.write(Uint8Array.from({ length: 5000 }, (_, i) => (i * 37 + 11) & 255));
    await once(socket, 'close');
    await joinNode(context, served);
    await waitFor('the neighbor', () => served.neighbors.length === 1);
  });

  const refusals: readonly [
    what: string,
    name: string,
    days: { from?: string; until?: string },
    words: RegExp,
  ][] = [
    [
      'has expired',
      '127.0.0.1',
      { until: '20200102' },
      /^its certificate has expired, or the clock here is ahead \(20\d\d-/,
    ],
    [
      'is of the future',
      '127.0.0.1',
      { from: '20980101' },
      /^its certificate is not valid yet, or the clock here is behind \(20/,
    ],
    [
      'is another’s',
      'other.example',
      {},
      /^its certificate is not for 127\.0\.0\.1, but for DNS:other\.example$/,
    ],
  ];
  for (const [what, name, days, words] of refusals) {
    test(`is refused in words where its certificate ${what}`, async (context) => {
      const authority = new Authority(temporaryFolder(context));
      const url = await listening(
        context,
        createTlsServer(authority.sign(name, days), (socket) => socket.on('error', () => {})),
      );
      const { failures } = dial(context, url, local('a'), trusting([authority.certificate]));
      await waitFor('a failure', () => failures.length > 0);
      assert.match(failures[0]!.message, words);
      assert.doesNotMatch(failures[0]!.message, /node|install/i);
    });
  }

  test('the CAs of the system count, unless --tls-ca names others', async (context) => {
    const authority = new Authority(temporaryFolder(context));
    const tls = createTlsServer(authority.sign('127.0.0.1'), (socket) => socket.on('error', () => {}).end());
    const { port } = new URL(await listening(context, tls));
    const other = new Authority(temporaryFolder(context));
    const client = (certificates: readonly string[] | null) => `
      import { Trust } from '${new URL('../control/io/trust.ts', import.meta.url)}';
      import { connect } from 'node:tls';
      const secureContext = new Trust(${JSON.stringify(certificates)}).context();
      const socket = connect({ port: ${port}, host: '127.0.0.1', servername: '', secureContext });
      socket.on('secureConnect', () => process.exit(0)).on('error', ({ code }) => console.log(code));`;
    const run = (store: string, certificates: readonly string[] | null) =>
      new Promise<string>((resolve) => {
        const env = {
          ...process.env,
          SSL_CERT_FILE: store,
          SSL_CERT_DIR: '/nonexistent',
          NODE_EXTRA_CA_CERTS: '',
        };
        execFile(
          process.execPath,
          ['--input-type=module', '-e', client(certificates)],
          { env },
          (error, stdout, stderr) => resolve(error === null ? stdout.trim() : stderr),
        );
      });
    assert.equal(await run(authority.file, null), '');
    assert.match(await run(other.file, null), /UNABLE_TO|SELF_SIGNED/);
    assert.match(await run(authority.file, [other.certificate]), /UNABLE_TO|SELF_SIGNED/);
  });

  test('CAs are read from a bundle, whatever else is in it', (context) => {
    const [one, other] = [new Authority(temporaryFolder(context)), new Authority(temporaryFolder(context))];
    const file = join(temporaryFolder(context), 'bundle.pem');
    writeFileSync(file, `# ours\n${one.certificate}\r\n\r\nsomething\n${other.certificate}`);
    assert.equal(readCertificates(file, '--tls-ca').length, 2);
    writeFileSync(file, `${one.certificate}${other.certificate.replace(/MII/, 'AAA')}`);
    assert.throws(() => readCertificates(file, '--tls-ca'), {
      code: 'bad_config',
      message:
        /^--tls-ca takes a file of CA certificates in PEM: \S+ has one that cannot be used, number 2: [^\n]+$/,
    });
  });
});

test('a file that is missing, a folder, or has no certificate is refused on one line that names it', (context) => {
  const folder = temporaryFolder(context);
  const empty = join(folder, 'empty');
  writeFileSync(empty, 'no certificate');
  for (const [path, words] of [
    [join(folder, 'missing'), /missing cannot be read: ENOENT$/],
    [folder, /cannot be read: EISDIR$/],
    [empty, /empty has no certificate$/],
  ] as const) {
    assert.throws(() => readCertificates(path, 'tls-ca in FILE'), { code: 'bad_config', message: words });
    assert.throws(() => readCertificates(path, 'tls-ca in FILE'), { message: /^tls-ca in FILE takes/ });
  }
});

test('a server that speaks no TLS is told as such', async (context) => {
  const url = await listening(
    context,
    createServer((socket) => void socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n')),
  );
  const { failures } = dial(context, url, local('a'));
  await waitFor('a failure', () => failures.length > 0);
  assert.match(failures[0]!.message, /^it does not speak TLS on that port/);
});

for (const scheme of ['ws', 'wss'] as const) {
  test(`a ${scheme}:// server that stalls, or sends a byte now and then, is given up after 20 s`, async (context) => {
    context.mock.timers.enable({ apis: ['setTimeout'] });
    const sockets: Socket[] = [];
    const url = await listening(
      context,
      createServer((socket) => {
        socket.on('error', () => {}).resume();
        sockets.push(socket);
      }),
    );
    const { failures } = dial(context, url.replace('wss', scheme), local('a'));
    const turns = async () => {
      for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
    };
    for (let i = 0; i < 1000 && sockets.length === 0; i++)
      await new Promise((resolve) => setImmediate(resolve));
    for (let second = 0; second < 20; second++) {
      assert.equal(failures.length, 0, `after ${second} s`);
      if (scheme === 'ws') sockets[0]!.write(second === 0 ? 'HTTP/1.1 101 ' : 'x');
      await turns();
      for (let i = 0; i < 2; i++) context.mock.timers.tick(500);
      await turns();
    }
    assert.equal(failures.length, 1);
    assert.match(failures[0]!.message, /^no WebSocket within 20 s$/);
    for (let i = 0; i < 1000 && !sockets[0]!.closed; i++)
      await new Promise((resolve) => setImmediate(resolve));
    assert.ok(sockets[0]!.closed);
  });
}

test('the names in a certificate are shown at a bounded length, without control characters', () => {
  const subjectaltname = `DNS:a\u001b[31m\n${'x'.repeat(100_000)}`;
  const words = tlsTrouble({ code: 'ERR_TLS_CERT_ALTNAME_INVALID', cert: { subjectaltname } }, 'h', 0)!;
  assert.ok(words.length < 300);
  assert.match(words, /^[\x20-\x7e]+$/);
  assert.equal(tlsTrouble({ code: 'ECONNREFUSED' }, 'h', 0), undefined);
  assert.equal(tlsTrouble(new Error('anything'), 'h', 0), undefined);
  assert.match(tlsTrouble({ code: 'CERT_NOT_YET_VALID' }, 'h', 0)!, /behind \(1970-01-01 00:00 UTC\)/);
});

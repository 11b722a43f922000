import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { freeUdpPort } from '../dataplane/io/engine/udp-port.ts';
import { iceServerCheck } from '../dataplane/io/ice-server-check.ts';
import type { IceServer } from '../dataplane/io/webrtc.ts';
import { waitFor } from './native/wait.ts';
import { temporaryFolder } from './socket-pair.ts';

const lacks =
  spawnSync('sh', ['-c', 'PATH=$PATH:/usr/sbin:/sbin command -v turnserver']).status === 0
    ? false
    : 'needs turnserver (apt-get install coturn)';

/** coturn on loopback; resolves with its port. */
async function coturn(context: TestContext, ready: RegExp, ...options: readonly string[]): Promise<number> {
  const [folder, port] = [temporaryFolder(context), await freeUdpPort(0)];
  const own = ['-n', '-v', '--no-cli', '--no-tls', '--no-dtls', '--realm=lab', '--log-file=stdout'];
  const at = ['--listening-ip=127.0.0.1', '--relay-ip=127.0.0.1', `--listening-port=${port}`];
  const files = [`--pidfile=${join(folder, 'pid')}`, `--userdb=${join(folder, 'db')}`];
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
  const child = spawn('turnserver', [...own, ...at, ...files, ...options], {
    env,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  context.after(() => void child.kill('SIGKILL'));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said = (said + chunk).slice(-20_000);
    if (ready.test(said)) resolve();
  });
  child.once('exit', () => reject(new Error(said)));
  child.once('error', reject);
  await promise;
  return port;
}

const check = (server: IceServer) =>
  iceServerCheck({ opened: () => {} })(server, new AbortController().signal);

suite('coturn is asked', { skip: lacks, timeout: 60_000 }, () => {
  const turnAt = (port: number, user: string, credential: string): IceServer => ({
    ...{ kind: 'turn', host: '127.0.0.1', port },
    ...{ user, credential },
  });
  const udp = /UDP listener opened on/;

  test('with a user: the credential is right, or refused by 401, and a binding is answered', async (context) => {
    const port = await coturn(context, udp, '--lt-cred-mech', '--user=lab:se cret:|/', '--user-quota=1');
    assert.equal(await check(turnAt(port, 'lab', 'se cret:|/')), undefined);
    // The quota is one allocation, which coturn would keep for ten minutes if it were not given back.
    assert.equal(
      await waitFor('a second one', async () => {
        const trouble = await check(turnAt(port, 'lab', 'se cret:|/'));
        return trouble === undefined ? 'works' : assert.match(trouble, /error 486/);
      }),
      'works',
    );
    assert.match((await check(turnAt(port, 'lab', 'another')))!, /error 401/);
    assert.match((await check(turnAt(port, 'nobody', 'another')))!, /error 401/);
    assert.equal(await check({ kind: 'stun', host: '127.0.0.1', port }), undefined);
  });

  test('with a user of limited time: good until then, and refused by 401 after it', async (context) => {
    const port = await coturn(context, udp, '--use-auth-secret', '--static-auth-secret=shared');
    const userUntil = (seconds: number) => {
      const user = `${Math.floor(Date.now() / 1000) + seconds}:lab`;
      return turnAt(port, user, createHmac('sha1', 'shared').update(user).digest('base64'));
    };
    assert.equal(await check(userUntil(3600)), undefined);
    const expired =
      /error 401, Unauthorized: the credential has expired at \d{4}-\d\d-\d\dT[\d:]{8}Z; of the server’s secret/;
    assert.match((await check(userUntil(-10)))!, expired);
    const withSecret = (credential: string, lifetime: number) => ({
      ...turnAt(port, 'lab', credential),
      lifetime,
    });
    assert.equal(await check(withSecret('shared', 2)), undefined, 'credentials are made of the secret');
    assert.match(
      (await check(withSecret('another', 3600)))!,
      /error 401, Unauthorized: the secret is another/,
    );
  });

  test('over UDP where it serves TCP only', async (context) => {
    const port = await coturn(
      context,
      /TCP listener opened on/,
      '--lt-cred-mech',
      '--user=lab:secret',
      '--no-udp',
    );
    assert.match((await check(turnAt(port, 'lab', 'secret')))!, /nothing listens on that UDP port.*TCP only/);
  });

  test('without a user at all: it is not used, for libjuice takes no relay from it', async (context) => {
    const port = await coturn(context, udp, '--no-auth');
    assert.match((await check(turnAt(port, 'lab', 'secret')))!, /asks for no credentials/);
  });
});

/** `cryonet --service` as a process: what it does before it has a token, with a configuration that is bad, and when it
 *  runs. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { call } from '../cli/control-client.ts';
import { readConfig } from '../control/config/config.ts';
import { difference } from '../control/config/difference.ts';
import { idOfHost } from '../control/config/host-id.ts';
import { lockStateDirectory } from '../control/io/state-lock.ts';
import { awaitToken } from '../control/io/token-wait.ts';
import { exitCode } from '../protocol/errors.ts';
import { waitFor } from './native/wait.ts';
import { Lab, LabNode } from './node-lab.ts';
import { type Manager, openManager, type Service, startService } from './service-manager.ts';
import { temporaryFolder } from './socket-pair.ts';

const secret = 'S3CRET-of-this-test';

interface Waiting extends Service {
  readonly manager: Manager;
  readonly folder: string;
  readonly token: string;
}

/** Control as a service in folders of its own. `credential`: what the manager hands over. */
async function start(
  context: TestContext,
  { credential, args = [] }: { credential?: string; args?: readonly string[] } = {},
): Promise<Waiting> {
  const manager = await openManager(context);
  const folder = temporaryFolder(context);
  const credentials = join(folder, 'credentials');
  mkdirSync(credentials);
  if (credential !== undefined) writeFileSync(join(credentials, 'token'), credential);
  const directories = ['--state-dir', join(folder, 'state'), '--runtime-dir', join(folder, 'run')];
  const service = startService(context, 'control/main.ts', ['--service', ...directories, ...args], {
    NOTIFY_SOCKET: manager.address,
    CONFIGURATION_DIRECTORY: folder,
    ...(credential === undefined ? {} : { CREDENTIALS_DIRECTORY: credentials }),
  });
  return { ...service, manager, folder, token: join(folder, 'token') };
}

async function waits({ manager, lines, token }: Waiting): Promise<void> {
  await waitFor('readiness', () => manager.heard.length > 0, 10_000);
  assert.deepEqual(manager.heard, [`READY=1 STATUS=waiting for a token in ${token}, the same on all nodes`]);
  await waitFor('its line', () => lines.length > 0);
  assert.equal(lines.length, 1, lines.join('\n'));
  assert.ok(lines[0]!.includes(`(umask 077; head -c 32 /dev/urandom | base64 > ${token})`), lines[0]);
  assert.ok(lines[0]!.includes(`id=${idOfHost(hostname())}`), lines[0]);
}

for (const [handed, credential] of [
  ['nothing', undefined],
  ['the unit’s fallback', 'none'],
  ['an empty file', '\n'],
] as const) {
  test(`handed ${handed}, a service is ready and waits, and ends to be started again when a token is there`, async (context) => {
    const service = await start(context, credential === undefined ? {} : { credential });
    await waits(service);
    await assert.rejects(call(join(service.folder, 'run', 'control.sock'), 'GET /v1/status'), {
      code: 'no_token',
      message: `the node is waiting for a token in ${service.token}, the same on all nodes`,
    });
    writeFileSync(service.token, '');
    appendFileSync(service.token, secret);
    assert.deepEqual(await service.ended(), { code: exitCode.again, signal: null });
    const said = [...service.lines, ...service.manager.heard].join('\n');
    assert.ok(!said.includes(secret));
    assert.match(said, /a token is there/);
    assert.equal(service.manager.heard.at(-1), 'STOPPING=1');
  });
}

test('a waiting service that is stopped ends in order', async (context) => {
  const service = await start(context);
  await waits(service);
  service.child.kill('SIGTERM');
  assert.deepEqual(await service.ended(), { code: exitCode.ok, signal: null });
});

test('a node is ready when the mesh can reach it, and says how many of its peers are up until it stops', async (context) => {
  const lab = new Lab(context);
  const other = await lab.add('other');
  const node = new LabNode(lab.network, 'node', temporaryFolder(context));
  await node.dataplane.listen(node.dataplaneSocket);
  context.after(() => node.dataplane.close());
  const service = await start(context, {
    credential: 'the secret of the lab',
    args: [
      '--dataplane-socket',
      node.dataplaneSocket,
      '--listen',
      '127.0.0.1:0',
      '--ws-servers',
      other.url,
      'node',
    ],
  });
  await waitFor('a peer that is up', () => service.manager.heard.includes('STATUS=1 of 1 up'), 15_000);
  assert.equal(service.manager.heard[0], 'READY=1 STATUS=no peers yet');
  await other.stopControl();
  other.dataplane.close();
  await waitFor(
    'the peer to be lost',
    () => service.manager.heard.at(-1) === 'STATUS=0 of 1 up; other down',
    15_000,
  );
  node.dataplane.close();
  await waitFor(
    'the dataplane to be missed',
    () => service.manager.heard.at(-1) === 'STATUS=0 of 1 up; other down, no dataplane',
    15_000,
  );
  service.child.kill('SIGTERM');
  assert.deepEqual(await service.ended(), { code: exitCode.ok, signal: null });
  await waitFor('the stop to be heard', () => service.manager.heard.at(-1) === 'STOPPING=1');
});

test('a node is not ready before its dataplane has answered', async (context) => {
  const silent = createServer();
  const path = join(temporaryFolder(context), 'dataplane.sock');
  const asked = new Promise<void>((resolve) => {
    silent.on('connection', (socket) => {
      context.after(() => socket.destroy());
      socket.once('data', () => resolve());
    });
  });
  silent.listen(path);
  context.after(() => silent.close());
  const service = await start(context, {
    credential: 't',
    args: ['--dataplane-socket', path, '--listen', '127.0.0.1:0'],
  });
  await asked;
  assert.ok(existsSync(join(service.folder, 'run/control.sock')));
  assert.deepEqual(service.manager.heard, []);
});

test('a bad configuration is not waited out, token or not', async (context) => {
  const service = await start(context, { args: ['--listen', 'nowhere'] });
  assert.deepEqual(await service.ended(), { code: exitCode.config, signal: null });
  const reason = '--listen takes host:port, not "nowhere"';
  assert.deepEqual(service.lines, [`cryonet: ${reason}`]);
  await waitFor('its status', () => service.manager.heard.length > 0);
  assert.deepEqual(service.manager.heard, [`STATUS=${reason}`]);
});

test('a start that fails says so in one line, whichever of the two processes found the fault', async (context) => {
  const file = join(temporaryFolder(context), 'file');
  writeFileSync(file, '');
  const service = await start(context, { credential: secret, args: ['--runtime-dir', join(file, 'x')] });
  assert.deepEqual(await service.ended(), { code: exitCode.config, signal: null });
  assert.equal(service.lines.length, 1, service.lines.join('\n'));
  assert.match(service.lines[0]!, /^cryonet: cannot make .*ENOTDIR/);
});

test('a state directory that another cryonet has: a service waits for its end, a person is told at once', async (context) => {
  const folder = temporaryFolder(context);
  const state = ['--state-dir', join(folder, 'state')];
  const mine = lockStateDirectory(state[1]!);
  context.after(() => mine.release());
  const reason = `another cryonet (pid ${process.pid}) uses ${state[1]}: stop it, or give this one its own --state-dir and --runtime-dir`;
  const [hand, service] = await Promise.all([
    startService(
      context,
      'control/main.ts',
      [...state, '--runtime-dir', folder, '--token', secret, '--listen', '127.0.0.1:0', 'n'],
      {},
    ),
    start(context, { credential: secret, args: [...state, '--listen', 'localhost:1'] }),
  ]);
  assert.deepEqual(await hand.ended(), { code: exitCode.failure, signal: null });
  assert.deepEqual(hand.lines, [`cryonet: ${reason}`]);
  await waitFor('it to be said', () => service.manager.heard.length > 0, 15_000);
  // As long as a manager is told: `notify.ts` bounds it.
  assert.deepEqual(service.manager.heard, [`READY=1 STATUS=cannot start yet: ${reason}`.slice(0, 15 + 200)]);
  assert.equal(service.lines.length, 1, service.lines.join('\n'));
  service.child.kill('SIGTERM');
  assert.deepEqual(await service.ended(), { code: exitCode.ok, signal: null });
});

test('a dataplane whose control has ended before it was heard ends without a word', async (context) => {
  const folder = temporaryFolder(context);
  const program = join(import.meta.dirname, '../dataplane/main.ts');
  const args = [
    '--disable-warning=ExperimentalWarning',
    program,
    ...['--socket', join(folder, 's'), '--child'],
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] });
  context.after(() => child.kill('SIGKILL'));
  child.stdio[3]!.destroy();
  let said = '';
  child.stderr!.on('data', (text) => {
    said += text;
  });
  await waitFor('its end', () => child.exitCode !== null, 15_000);
  assert.deepEqual({ code: child.exitCode, said }, { code: exitCode.failure, said: '' });
});

test('a service takes its own file for the credential, as whoever names it means', (context) => {
  const folder = temporaryFolder(context);
  const env = { CONFIGURATION_DIRECTORY: folder, CREDENTIALS_DIRECTORY: join(folder, 'credentials') };
  mkdirSync(env.CREDENTIALS_DIRECTORY);
  writeFileSync(join(env.CREDENTIALS_DIRECTORY, 'token'), 'handed over\n');
  const tokenOf = (file: string, ...rest: string[]) =>
    readConfig(['--token-file', join(folder, file), 'n', ...rest], env, 0).tokens.join();
  assert.equal(tokenOf('token', '--service'), 'handed over');
  assert.throws(() => tokenOf('token'), { code: 'bad_config', message: /ENOENT/ });
  assert.throws(() => tokenOf('other', '--service'), { code: 'bad_config', message: /ENOENT/ });
  const own = { CONFIGURATION_DIRECTORY: folder };
  writeFileSync(join(folder, 'token'), 'its own');
  assert.equal(
    readConfig(['--service', 'n'], own, 0).tokens.join(),
    'its own',
    'without a manager that hands it over',
  );
});

test('a service with a credential starts where it may not even look at its own file', (context) => {
  const folder = temporaryFolder(context);
  const credentials = join(folder, 'credentials');
  mkdirSync(credentials);
  writeFileSync(join(credentials, 'token'), 'handed over\n');
  // As root may look anywhere, the file is a link that leads nowhere: to itself.
  symlinkSync('token', join(folder, 'token'));
  const env = { CONFIGURATION_DIRECTORY: folder, CREDENTIALS_DIRECTORY: credentials };
  const { tokens, tokenStale } = readConfig(['--service', 'n'], env, 0);
  assert.deepEqual([tokens, tokenStale], [['handed over'], false]);
});

test('a changed file of a service counts at a reload where the service may read it; else a reload says that this takes a restart', async (context) => {
  const folder = temporaryFolder(context);
  const credentials = join(folder, 'credentials');
  mkdirSync(credentials);
  const own = join(folder, 'token');
  writeFileSync(own, 'as it was\n');
  writeFileSync(join(credentials, 'token'), 'as it was\n');
  const env = { CONFIGURATION_DIRECTORY: folder, CREDENTIALS_DIRECTORY: credentials };
  const read = () => readConfig(['--service', 'n'], env, 0);
  const before = read();
  assert.deepEqual([before.tokenSource, before.tokenPath], ['the credential token', own]);
  assert.deepEqual(difference(before, read()).atRestart, []);
  await waitFor('a later time', () => {
    writeFileSync(own, 'as it will be\n');
    return read().tokenSource === own;
  });
  const readable = difference(before, read());
  assert.deepEqual(
    [readable.live, readable.atRestart, readable.next.tokens],
    [['token'], [], ['as it will be']],
  );
  // As root may read any file, a folder takes its place.
  rmSync(own);
  mkdirSync(own);
  const { live, atRestart, next } = difference(before, read());
  assert.deepEqual([live, atRestart, next.tokens], [[], ['token-file'], ['as it was']]);
});

test('a fallback that no service asked for is no token either', (context) => {
  const folder = temporaryFolder(context);
  writeFileSync(join(folder, 'token'), 'none');
  assert.throws(() => readConfig(['n'], { CREDENTIALS_DIRECTORY: folder }, 0), {
    message: 'the mesh needs a token: give --token, --token-file or TOKEN',
  });
});

/** Waits for a token, and says when asked whether it was found. */
function waitOf(context: TestContext, path: string, credentials?: string): () => boolean {
  const wait = awaitToken(path, credentials);
  context.after(() => wait.close());
  let found = false;
  wait.found.then(() => {
    found = true;
  });
  return () => found;
}

test('a file that was there before is nothing new; one moved into its place is', async (context) => {
  const folder = temporaryFolder(context);
  const path = join(folder, 'token');
  writeFileSync(path, 'old');
  const credentials = join(folder, 'credentials');
  mkdirSync(credentials);
  const handedOver = join(credentials, 'token');
  // A later time than the file's: file systems tell times apart by ticks of the kernel.
  await waitFor('a later time', () => {
    writeFileSync(handedOver, 'none');
    return statSync(handedOver).ctimeMs > statSync(path).ctimeMs;
  });
  context.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const found = waitOf(context, path, credentials);
  const pass = async (milliseconds: number) => {
    context.mock.timers.tick(milliseconds);
    await Promise.resolve();
  };
  await pass(60_000);
  assert.ok(!found());
  writeFileSync(join(folder, 'next'), 'new');
  renameSync(join(folder, 'next'), path);
  await pass(2000);
  assert.ok(!found(), 'it may still be written');
  await pass(300);
  assert.ok(found());
});

test('a file that was written after the manager looked for it, and before the service did, is new', async (context) => {
  const folder = temporaryFolder(context);
  writeFileSync(join(folder, 'credential'), 'none');
  const credentials = join(folder, 'credentials');
  mkdirSync(credentials);
  renameSync(join(folder, 'credential'), join(credentials, 'token'));
  writeFileSync(join(folder, 'token'), 'new');
  const found = waitOf(context, join(folder, 'token'), credentials);
  await waitFor('it to be seen', found);
});

test('a folder that appears later is looked at, too', async (context) => {
  const folder = join(temporaryFolder(context), 'etc');
  const found = waitOf(context, join(folder, 'token'));
  mkdirSync(folder);
  writeFileSync(join(folder, 'token'), 'new');
  await waitFor('it to be seen', found);
});

test('a configuration file that may not be read is refused by a line that says who must be able to', (context) => {
  const folder = temporaryFolder(context);
  const path = join(folder, 'config.toml');
  writeFileSync(path, 'id = "x"\n');
  chmodSync(folder, 0o755);
  chmodSync(path, 0o000);
  const root = process.geteuid!() === 0;
  const nobody = 65_534;
  if (root) process.seteuid!(nobody);
  try {
    const { username } = userInfo();
    assert.throws(() => readConfig(['--config', path, '--token', 't'], {}, 0), {
      code: 'bad_config',
      message: new RegExp(
        `^--config ${path} cannot be used: EACCES.*: user ${username} must be able to read it`,
      ),
    });
  } finally {
    if (root) process.seteuid!(0);
  }
});

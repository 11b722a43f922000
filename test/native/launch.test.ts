/** What starts the processes of a node, and the broker that it leaves beside control: with sanitizers. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { before, type TestContext, test } from 'node:test';
import { takeBroker } from '../../control/io/broker.ts';
import { temporaryFolder } from '../socket-pair.ts';
import { compile } from './compile.ts';
import { waitFor } from './wait.ts';

const service = join(import.meta.dirname, '../../service');
const nobody = 65_534;
const notRoot = process.geteuid!() !== 0 && 'needs root, who has something to give up';

let launch = '';
before(() => {
  const sources = [
    'launch/launch.c',
    'launch/privileges.c',
    'launch/serve.c',
    'native/conceal.c',
    'native/marked.c',
  ];
  const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'];
  launch = compile(
    'launch',
    [...sources.map((source) => join(service, source)), 'no-leak-check.c'],
    [...sanitizers, '-I', join(service, 'native')],
  );
});

function started(context: TestContext, args: readonly string[], env = process.env): ChildProcess {
  const child = spawn(launch, args, { env, stdio: 'pipe' });
  context.after(() => child.kill('SIGKILL'));
  return child;
}

/** Resolves when it and all that hold its output have ended. */
async function run(context: TestContext, ...args: readonly string[]) {
  const child = started(context, args);
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [out, err] = await Promise.all([text(child.stdout!), text(child.stderr!)]);
  return { pid: child.pid!, code: await ended, out, err };
}

/** Of /proc/PID/status, by name. */
function fields(status: string): Record<string, string> {
  return Object.fromEntries(
    [...status.matchAll(/^(\w+):\s*(.*)$/gm)].map(([, name, value]) => [name!, value!]),
  );
}

const capabilities = (status: string) => {
  const { CapInh, CapPrm, CapEff, CapBnd, CapAmb } = fields(status);
  return [CapInh, CapPrm, CapEff, CapBnd, CapAmb].map((set) => Number.parseInt(set!, 16).toString(16));
};

test('it becomes the program, with its process ID, arguments and end', async (context) => {
  for (const role of ['control', 'dataplane']) {
    const { pid, code, out, err } = await run(
      context,
      role,
      '/bin/sh',
      '-c',
      'echo $$ "$@"; exit 3',
      '-',
      'a b',
    );
    assert.deepEqual({ code, out, err }, { code: 3, out: `${pid} a b\n`, err: '' });
  }
});

test('what cannot be run is one line, and bad configuration', async (context) => {
  for (const role of ['control', 'dataplane']) {
    const { code, out, err } = await run(context, role, '/nowhere/node', 'x');
    assert.deepEqual([code, out], [78, '']);
    assert.equal(err, 'cryonet: cannot start: /nowhere/node: No such file or directory\n');
  }
  for (const args of [[], ['control'], ['broker', 'x'], ['other', '/bin/true']]) {
    const { code, err } = await run(context, ...args);
    assert.deepEqual([code, err], [78, 'usage: launch control|dataplane NODE ARGUMENT...\n']);
  }
});

test('root has no capability as control, two as the dataplane, and gets none by another program', {
  skip: notRoot,
}, async (context) => {
  for (const [role, set] of [
    ['control', '0'],
    ['dataplane', '1400'],
  ] as const) {
    const { out } = await run(context, role, '/bin/sh', '-c', 'cat /proc/self/status');
    assert.deepEqual(capabilities(out), Array(5).fill(set), role);
    assert.equal(fields(out).NoNewPrivs, '1');
  }
});

test('a program that is another user’s leaves root its power over files, and no more', {
  skip: notRoot,
}, async (context) => {
  const folder = temporaryFolder(context);
  const program = join(folder, 'program');
  writeFileSync(program, 'cat /proc/self/status');
  const setOf = async () => capabilities((await run(context, 'control', '/bin/sh', program)).out)[2];
  assert.equal(await setOf(), '0');
  chownSync(program, nobody, nobody);
  assert.equal(await setOf(), '2');
  const home = join(folder, 'home');
  mkdirSync(home);
  copyFileSync(program, join(home, 'program'));
  chmodSync(home, 0o700);
  chownSync(home, nobody, nobody);
  const hidden = await run(context, 'dataplane', '/bin/sh', join(home, 'program'));
  assert.equal(capabilities(hidden.out)[2], '1402', 'it is root’s, in a folder that is not');
});

test('the broker has neither arguments nor environment of control, its own session, and ends with it', async (context) => {
  const env = { ...process.env, TOKEN: 'correct-horse' };
  const control = started(context, ['control', '/bin/sh', '-c', 'read line', 'correct-horse'], env);
  const file = (pid: number, name: string) => readFileSync(`/proc/${pid}/${name}`, 'utf8');
  const broker = await waitFor('the broker', () =>
    file(control.pid!, `task/${control.pid}/children`)
      .split(' ')
      .map(Number)
      .find((pid) => pid > 0 && file(pid, 'comm') === 'cryonet-broker\n'),
  );
  assert.equal(file(broker, 'cmdline'), 'cryonet\0broker\0');
  assert.equal(file(broker, 'stat').split(') ')[1]!.split(' ')[3], `${broker}`, 'the leader of its session');
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.kill(broker, signal);
  if (!notRoot) {
    assert.equal(file(broker, 'environ'), '');
    assert.match(file(broker, 'limits'), /^Max core file size +0 +0 /m);
  }
  control.kill('SIGKILL');
  await waitFor('its end', () => !existsSync(`/proc/${broker}`));
});

test('the broker does what was planned once, and nothing else', async (context) => {
  const script = 'exec >&3; env; cat /proc/self/status; cat /proc/$$/stat; readlink /proc/self/fd/0';
  const user = join(import.meta.dirname, 'broker-user.ts');
  const flags = ['--disable-warning=ExperimentalWarning', user];
  const { code, out, err } = await run(
    context,
    'control',
    process.execPath,
    ...flags,
    '/bin/sh',
    '-c',
    script,
  );
  assert.deepEqual([code, err], [0, '']);
  const { said, at, marked, disturbed, ...rest } = JSON.parse(out);
  assert.deepEqual(rest, {
    early: ['EPERM', 'EPERM', 'EPERM'],
    malformed: ['EINVAL', 'EINVAL', 'EINVAL', 'EINVAL'],
    planned: 'done',
    again: 'EPERM',
    unknown: Array(5).fill('EINVAL'),
    tooLong: 'EMSGSIZE',
    bound: 'done',
  });
  const known = new Set(['EINVAL', 'EPERM', 'done', 'EADDRNOTAVAIL', 'ENODEV']);
  assert.deepEqual(
    disturbed.filter((each: string) => !known.has(each)),
    [],
  );
  assert.equal(at.address, '127.0.0.1');
  assert.equal(marked, notRoot ? 'EPERM' : 'done');
  // A shell adds some of its own.
  const variables = said
    .match(/^\w+(?==)/gm)
    .filter((name: string) => !['PWD', 'SHLVL', '_', 'OLDPWD'].includes(name));
  assert.deepEqual(variables, ['ONLY']);
  const { SigIgn, SigBlk, Pid: _, ...status } = fields(said);
  assert.match(`${SigIgn} ${SigBlk}`, /^0+ 0+$/);
  assert.equal(status.NoNewPrivs, '1');
  if (!notRoot) assert.deepEqual(capabilities(said), Array(5).fill('1400'));
  const [, pid, session] = /^(\d+) \(sh\) \w \d+ \d+ (\d+)/m.exec(said)!;
  assert.equal(session, pid, 'the leader of a session of its own');
  assert.match(said, /^\/dev\/null$/m);
});

test('a dataplane that cannot be run is what its start says', async (context) => {
  const user = join(import.meta.dirname, 'broker-user.ts');
  const flags = ['--disable-warning=ExperimentalWarning', user];
  const { out } = await run(context, 'control', process.execPath, ...flags, '/nowhere/node', 'x');
  const { said } = JSON.parse(out);
  assert.equal(said, 'failed no_dataplane cannot run /nowhere/node: No such file or directory\n');
});

test('the variable of the broker is taken by whom it is for, and gone in any case', () => {
  for (const [given, taken] of [
    ['7:3', true],
    ['8:3', false],
    ['7:', false],
    ['x', false],
    [undefined, false],
  ] as const) {
    const env: NodeJS.ProcessEnv = { HOME: '/', ...(given === undefined ? {} : { CRYONET_BROKER: given }) };
    assert.equal(takeBroker(env, 7) !== undefined, taken, given);
    assert.deepEqual(env, { HOME: '/' });
  }
});

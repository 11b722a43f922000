import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs, { existsSync, statSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { CryonetError, errorCodes, reasonOf } from '../protocol/errors.ts';
import { keepRoom, listenUnix } from '../protocol/listen.ts';
import { type LogFormat, type LogLevel, openLog } from '../protocol/log.ts';
import { waitFor } from './native/wait.ts';
import { temporaryFolder } from './socket-pair.ts';

function newServer(context: TestContext) {
  const server = createServer((socket) => socket.destroy());
  context.after(() => void server.close());
  return server;
}

test('a socket is made with its folder, for its owner alone', async (context) => {
  const path = join(temporaryFolder(context), 'deep', 'er', 'x.sock');
  await listenUnix(newServer(context), path);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(join(path, '..')).mode & 0o777, 0o700);
});

test('one connection more than there is room for closes the oldest that is not in use', async (context) => {
  const path = join(temporaryFolder(context), 'x.sock');
  const accepted: Socket[] = [];
  const server = createServer((socket) => void accepted.push(socket.on('error', () => {})));
  context.after(() => void server.close());
  keepRoom(server, 3, (socket) => socket === accepted[0]);
  await listenUnix(server, path);
  const clients: Socket[] = [];
  for (let i = 1; i <= 5; i++) {
    const client = connect(path)
      .on('error', () => {})
      .resume();
    context.after(() => void client.destroy());
    clients.push(client);
    await waitFor('the connection', () => accepted.length === i);
  }
  await waitFor('two of them to be closed', () => clients.filter(({ closed }) => closed).length === 2);
  assert.deepEqual(
    clients.map(({ closed }) => closed),
    [false, true, true, false, false],
  );
  clients[4]!.destroy();
  await waitFor('the end', () => accepted[4]!.closed);
  const last = connect(path)
    .on('error', () => {})
    .resume();
  context.after(() => void last.destroy());
  await waitFor('one more', () => accepted.length === 6);
  assert.deepEqual([clients[3]!.closed, last.closed], [false, false], 'room that was left is room');
});

test('a socket may be for its group too, in a folder that is the owner’s', async (context) => {
  const path = join(temporaryFolder(context), 'made', 'x.sock');
  await listenUnix(newServer(context), path, 0o660);
  assert.equal(statSync(path).mode & 0o777, 0o660);
  assert.equal(statSync(join(path, '..')).mode & 0o777, 0o700);
});

test('a socket that somebody serves is refused, and goes on being served', async (context) => {
  const path = join(temporaryFolder(context), 'x.sock');
  const first = newServer(context);
  await listenUnix(first, path);
  await assert.rejects(listenUnix(newServer(context), path), {
    code: 'socket_in_use',
    message: new RegExp(`serves ${path}: .*--runtime-dir`),
  });
  assert.ok(first.listening && existsSync(path));
});

test('a socket that a dead process left behind is replaced', async (context) => {
  const path = join(temporaryFolder(context), 'x.sock');
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', script], { timeout: 10_000 });
  assert.ok(existsSync(path));
  const server = newServer(context);
  await listenUnix(server, path);
  assert.ok(server.listening);
});

test('a path that cannot be a socket is bad_config, by one line', async (context) => {
  const folder = temporaryFolder(context);
  const file = join(folder, 'file');
  writeFileSync(file, '');
  const refused = (path: string, message: RegExp) =>
    assert.rejects(listenUnix(newServer(context), path), { code: 'bad_config', message });
  await refused(join(folder, 'x'.repeat(110)), /^socket path too long \(107 bytes at most\)/);
  await refused(join(file, 'x.sock'), /^cannot make .*(ENOTDIR|EEXIST)/);
  await refused(folder, /is there and is no socket$/);
  await refused(file, /is there and is no socket$/);
  assert.ok(existsSync(file), 'a file that is no socket is not deleted');
});

test('what a full or read-only disk refuses a socket with may pass, and says so by its code', async (context) => {
  const path = join(temporaryFolder(context), 'made', 'x.sock');
  for (const code of ['ENOSPC', 'EROFS', 'EDQUOT']) {
    const mock = context.mock.method(fs, 'mkdirSync', () => {
      throw Object.assign(new Error(`${code}: no`), { code });
    });
    syncBuiltinESMExports();
    await assert.rejects(listenUnix(newServer(context), path), {
      code: 'unavailable',
      message: new RegExp(`^cannot make .*/made: ${code}: no$`),
    });
    mock.mock.restore();
    syncBuiltinESMExports();
  }
  await listenUnix(newServer(context), path);
});

/** What a log prints, line for line. */
function printed(
  context: TestContext,
  level: LogLevel,
  format: LogFormat,
  journal: boolean,
): { lines: string[]; log: ReturnType<typeof openLog> } {
  const lines: string[] = [];
  const before = process.env.JOURNAL_STREAM;
  if (journal) process.env.JOURNAL_STREAM = '8:1';
  else delete process.env.JOURNAL_STREAM;
  const write = context.mock.method(fs, 'writeSync', (descriptor: number, text: string) => {
    assert.equal(descriptor, 2);
    lines.push(text);
    return text.length;
  });
  syncBuiltinESMExports();
  context.after(() => {
    write.mock.restore();
    syncBuiltinESMExports();
    if (before === undefined) delete process.env.JOURNAL_STREAM;
    else process.env.JOURNAL_STREAM = before;
  });
  return { lines, log: openLog('cryonet', level, format) };
}

test('lines for people: time, level, program, message, and fields that are quoted where they must be', (context) => {
  const { lines, log } = printed(context, 'info', 'auto', false);
  log.info('link up', { peer: 'berlin', reason: 'a "b"', none: undefined, empty: '', count: 5, list: ['a'] });
  assert.match(
    lines[0]!,
    /^\d{4}-\d\d-\d\dT[\d:.]+Z info {2}cryonet: link up peer=berlin reason="a \\"b\\"" count=5 list="\[\\"a\\"\]"\n$/,
  );
});

test('lines for the journal: a priority, then JSON', (context) => {
  const { lines, log } = printed(context, 'debug', 'auto', true);
  log.debug('a');
  log.info('b');
  log.warn('c', { peer: 'x' });
  log.error('d');
  assert.deepEqual(
    lines.map((line) => line.slice(0, 3)),
    ['<7>', '<6>', '<4>', '<3>'],
  );
  const { level, program, message, peer } = JSON.parse(lines[2]!.slice(3));
  assert.deepEqual([level, program, message, peer], ['warn', 'cryonet', 'c', 'x']);
});

test('json without a journal has no priority; text in a journal is text', (context) => {
  const { lines, log } = printed(context, 'info', 'json', false);
  log.info('a');
  assert.equal(JSON.parse(lines[0]!).message, 'a');
});

test('what comes again and again is left out, but for whoever asks for everything', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  let now = 0;
  context.mock.method(performance, 'now', () => now);
  const usual = printed(context, 'info', 'json', false);
  for (let i = 0; i < 1000; i++) usual.log.warn('link lost', { peer: 'b', i });
  usual.log.debug('a');
  assert.equal(usual.lines.length, 10);
  for (let i = 0; i < 30; i++) {
    now += 5000;
    context.mock.timers.tick(5000);
  }
  assert.equal(usual.lines.length, 11);
  const { message, i, leftOut } = JSON.parse(usual.lines[10]!);
  assert.deepEqual([message, i, leftOut], ['link lost', 999, 989]);
  const all = printed(context, 'debug', 'json', false);
  for (let i = 0; i < 1000; i++) all.log.warn('link lost', { peer: 'b', i });
  assert.equal(all.lines.length, 1000);
});

test('levels below the least are not printed', (context) => {
  const { lines, log } = printed(context, 'warn', 'text', true);
  log.debug('a');
  log.info('b');
  log.warn('c');
  log.error('d');
  assert.equal(lines.length, 2);
  assert.match(lines[0]!, / warn {2}cryonet: c\n$/);
});

test('a line stays one line, whatever is in its fields', (context) => {
  for (const format of ['text', 'json'] as const) {
    const { lines, log } = printed(context, 'info', format, false);
    log.info('a', { reason: 'two\nlines\r\nand\ta tab' });
    assert.equal(lines[0]!.split('\n').length, 2, lines[0]!);
  }
});

test('a reason is one line, of anything thrown', () => {
  assert.equal(reasonOf(new Error(' a\n  b\r\nc ')), 'a b c');
  assert.equal(reasonOf('text'), 'text');
  assert.equal(reasonOf(undefined), 'undefined');
});

test('every error has words of its own, on one line; a detail takes their place', () => {
  for (const [code, words] of Object.entries(errorCodes)) {
    const error = new CryonetError(code as keyof typeof errorCodes);
    assert.equal(error.message, words);
    assert.doesNotMatch(words, /\n|^[A-Z]|\.$/);
  }
  const cause = new Error('why');
  const error = new CryonetError('internal', 'detail', { cause });
  assert.deepEqual(
    [error.message, error.code, error.cause, error.name],
    ['detail', 'internal', cause, 'CryonetError'],
  );
});

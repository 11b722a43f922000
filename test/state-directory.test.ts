import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import fs, {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { signWith, verifyWith } from '../control/io/crypto.ts';
import { appendLines } from '../control/io/kept-files.ts';
import { openStateDirectory } from '../control/io/state-directory.ts';
import { lockStateDirectory } from '../control/io/state-lock.ts';
import { waitFor } from './native/wait.ts';
import { temporaryFolder } from './socket-pair.ts';

function folderOf(context: TestContext): string {
  return join(temporaryFolder(context), 'state');
}

/** What is said and not over. */
function newTell() {
  const said = new Map<string, string>();
  const set = (subject: string, message: string) => void said.set(subject, message);
  return { said, tell: { set, clear: (subject: string) => void said.delete(subject) } };
}

test('the identity is made once and stays; nobody else may read it', (context) => {
  const folder = folderOf(context);
  const first = openStateDirectory(folder, 1000);
  const second = openStateDirectory(folder, 2000);
  assert.equal(first.identity.publicKey.length, 32);
  assert.deepEqual(second.identity.publicKey, first.identity.publicKey);
  const message = Buffer.from('message');
  assert.ok(verifyWith(first.identity.publicKey, message, signWith(second.identity, message)));
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  for (const file of ['identity.pem', 'epoch'])
    assert.equal(statSync(join(folder, file)).mode & 0o777, 0o600);
});

test('every start has a greater epoch, also when the clock went back', (context) => {
  const folder = folderOf(context);
  const epochs = [1_764_000_000_000.7, 5, 5, 1_764_000_000_000].map(
    (now) => openStateDirectory(folder, now).epoch,
  );
  assert.deepEqual(epochs, [1_764_000_000_000, 1_764_000_000_001, 1_764_000_000_002, 1_764_000_000_003]);
});

test('an epoch file that holds no time of a clock does not stop a start, nor the ones after it', (context) => {
  const folder = folderOf(context);
  mkdirSync(folder);
  for (const content of ['', 'soon', '-5', '1e400', '99999999999999999999', '1.5', `${2 ** 53 - 1}`]) {
    writeFileSync(join(folder, 'epoch'), content);
    for (const now of [1_764_000_000_000, 1_764_000_000_005]) {
      const { epoch } = openStateDirectory(folder, now);
      assert.equal(epoch, now, content);
    }
  }
});

test('pinned identities are kept across starts, each once', (context) => {
  const folder = folderOf(context);
  const key = 'ab'.repeat(32);
  const first = openStateDirectory(folder, 1);
  first.pin('berlin', key);
  first.pin('berlin', key);
  first.pin('ams-1', 'cd'.repeat(32));
  const { pins } = openStateDirectory(folder, 2);
  assert.deepEqual(
    [...pins],
    [
      ['berlin', key],
      ['ams-1', 'cd'.repeat(32)],
    ],
  );
  assert.equal(readFileSync(join(folder, 'identities'), 'utf8').trim().split('\n').length, 2);
  assert.equal(statSync(join(folder, 'identities')).mode & 0o777, 0o600);
});

test('lines that name no key are passed over and said by their number, comments are not', (context) => {
  const folder = folderOf(context);
  const key = Buffer.alloc(32, 7);
  const fingerprint = `SHA256:${'+/'.repeat(21)}A`;
  mkdirSync(folder);
  const path = join(folder, 'identities');
  const text = `# a comment\n\nx\ny short\nrome ${fingerprint}\n  berlin   ${key.toString('base64url')}  \nams ${'A'.repeat(43)} glued\n`;
  writeFileSync(path, text);
  const { tell, said } = newTell();
  const state = openStateDirectory(folder, 1, tell);
  assert.deepEqual(Object.fromEntries(state.pins), { rome: fingerprint, berlin: key.toString('hex') });
  assert.equal(
    said.get('identities'),
    `${path}: line 3 and 2 more cannot be read: no ID and key; it is kept and passed over, correct or delete it`,
  );
  state.pin('late', 'ab'.repeat(32));
  assert.ok(readFileSync(path, 'utf8').startsWith(text), 'they are kept');
});

test('a last line that was cut short loses itself alone, not the next pin', (context) => {
  const folder = folderOf(context);
  const key = 'ab'.repeat(32);
  openStateDirectory(folder, 1).pin('berlin', key);
  const path = join(folder, 'identities');
  truncateSync(path, statSync(path).size - 9);
  const { tell, said } = newTell();
  const state = openStateDirectory(folder, 2, tell);
  assert.deepEqual([...state.pins], []);
  assert.match(said.get('identities')!, /identities: line 1 cannot be read/);
  state.pin('ams', key);
  state.pin('berlin', key);
  assert.deepEqual(
    [...openStateDirectory(folder, 3).pins],
    [
      ['ams', key],
      ['berlin', key],
    ],
  );
});

test('a last line without its newline is read, and the next one begins a new line', (context) => {
  const folder = folderOf(context);
  const key = 'ab'.repeat(32);
  openStateDirectory(folder, 1).pin('berlin', key);
  const path = join(folder, 'identities');
  truncateSync(path, statSync(path).size - 1);
  openStateDirectory(folder, 2).pin('ams', key);
  assert.deepEqual([...openStateDirectory(folder, 3).pins.keys()], ['berlin', 'ams']);
});

test('what is written beside its place by several processes at once is one whole file', async (context) => {
  const folder = folderOf(context);
  const module = JSON.stringify(new URL('../control/io/state-directory.ts', import.meta.url).href);
  const script = `
    const { openStateDirectory } = await import(${module});
    process.stdout.write('.');
    process.stdin.once('data', () => {
      const { identity, epoch } = openStateDirectory(process.argv[1], 5);
      console.log(Buffer.from(identity.publicKey).toString('hex'), epoch);
    });`;
  const flags = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script, folder];
  const starts = Array.from({ length: 4 }, () =>
    spawn(process.execPath, flags, { stdio: ['pipe', 'pipe', 'inherit'] }),
  );
  const said = starts.map((start) => {
    context.after(() => start.kill('SIGKILL'));
    const output = { text: '' };
    start.stdout!.setEncoding('utf8').on('data', (text) => {
      output.text += text;
    });
    return output;
  });
  await waitFor('all to be loaded', () => said.every(({ text }) => text !== ''), 30_000);
  for (const start of starts) start.stdin!.end('go');
  await waitFor('all to have it', () => said.every(({ text }) => text.endsWith('\n')), 30_000);
  const keys = said.map(({ text }) => text.slice(1).split(' ')[0]);
  assert.equal(new Set(keys).size, 1, 'one key');
  const { identity, epoch } = openStateDirectory(folder, 5);
  assert.equal(Buffer.from(identity.publicKey).toString('hex'), keys[0]);
  assert.ok(epoch > 5);
  assert.deepEqual(readdirSync(folder).sort(), ['epoch', 'identities', 'identity.pem']);
});

test('a file that a cut start left beside its place is swept away, once it is old', (context) => {
  const folder = folderOf(context);
  openStateDirectory(folder, 1);
  const [old, young] = ['epoch.1.0123456789ab.new', 'identity.pem.2.0123456789ab.new'].map((name) =>
    join(folder, name),
  ) as [string, string];
  for (const path of [old, young]) writeFileSync(path, '');
  utimesSync(old, 1, 1);
  openStateDirectory(folder, Date.now());
  assert.deepEqual(readdirSync(folder).sort(), ['epoch', 'identities', 'identity.pem', basename(young)]);
});

/** Lets writing beside its place, and appending, fail with `code` until told otherwise. */
function fullDisk(context: TestContext, code: string): { mend(): void } {
  const refuse = () => {
    throw Object.assign(new Error(`${code}: no, write`), { code });
  };
  const mocks = [
    context.mock.method(fs, 'writeSync', refuse),
    context.mock.method(fs, 'writeFileSync', refuse),
  ];
  syncBuiltinESMExports();
  const mend = () => {
    for (const mock of mocks) mock.mock.restore();
    syncBuiltinESMExports();
  };
  context.after(mend);
  return { mend };
}

test('a disk that is full in the middle of a line keeps nothing of it', async (context) => {
  const path = join(temporaryFolder(context), 'identities');
  appendLines(path, ['berlin key']);
  const { writeSync } = fs;
  let room = 7;
  const { mock } = context.mock.method(fs, 'writeSync', (descriptor: number, bytes: Uint8Array) => {
    if (room === 0) throw Object.assign(new Error('ENOSPC: no space'), { code: 'ENOSPC' });
    const written = writeSync(descriptor, bytes, 0, room);
    room = 0;
    return written;
  });
  context.after(() => {
    mock.restore();
    syncBuiltinESMExports();
  });
  syncBuiltinESMExports();
  assert.throws(() => appendLines(path, ['ams key']), { code: 'ENOSPC' });
  assert.equal(readFileSync(path, 'utf8'), 'berlin key\n');
});

for (const code of ['ENOSPC', 'EROFS', 'EDQUOT', 'EIO']) {
  test(`a disk that refuses with ${code}: a node with its identity starts later than before, and all is written in the end`, async (context) => {
    const folder = folderOf(context);
    const key = 'ab'.repeat(32);
    const first = openStateDirectory(folder, 1000);
    first.pin('berlin', key);
    const { mend } = fullDisk(context, code);
    const { tell, said } = newTell();
    const state = openStateDirectory(folder, 5, tell, 20);
    assert.deepEqual(state.identity.publicKey, first.identity.publicKey);
    assert.equal(state.epoch, 1001);
    state.pin('ams', key);
    await waitFor('it to be said', () => said.has('state-dir'));
    assert.equal(
      said.get('state-dir'),
      `${folder} cannot be written to: ${code}: no, write; tried again, epoch and identities would be lost at a restart`,
    );
    state.pin('riga', key);
    mend();
    await waitFor('it to be over', () => !said.has('state-dir'));
    state.close();
    const next = openStateDirectory(folder, 5);
    assert.equal(next.epoch, 1002);
    assert.deepEqual([...next.pins.keys()], ['berlin', 'ams', 'riga']);
  });

  test(`a disk that refuses the first key with ${code} may pass`, (context) => {
    const folder = folderOf(context);
    const { mend } = fullDisk(context, code);
    assert.throws(() => openStateDirectory(folder, 1), {
      code: 'unavailable',
      message: `--state-dir ${folder} cannot be used: ${code}: no, write`,
    });
    mend();
    assert.equal(openStateDirectory(folder, 1).identity.publicKey.length, 32);
  });
}

test('an identity that others can read is a warning that says how to mend it', (context) => {
  const folder = folderOf(context);
  openStateDirectory(folder, 1);
  const path = join(folder, 'identity.pem');
  const { tell, said } = newTell();
  openStateDirectory(folder, 2, tell);
  assert.deepEqual([...said], []);
  for (const [mode, shown] of [
    [0o640, '0640'],
    [0o604, '0604'],
  ] as const) {
    chmodSync(path, mode);
    openStateDirectory(folder, 3, tell);
    assert.match(said.get('identity')!, new RegExp(`identity.pem has mode ${shown}: .*chmod 600`));
  }
});

test('one process at a time has a state directory, and who else wants it is told which', async (context) => {
  const folder = folderOf(context);
  const mine = lockStateDirectory(folder);
  context.after(() => mine.release());
  assert.equal(mine.lacking, undefined);
  assert.throws(() => lockStateDirectory(folder), {
    code: 'state_in_use',
    message: `another cryonet (pid ${process.pid}) uses ${folder}: stop it, or give this one its own --state-dir and --runtime-dir`,
  });
  writeFileSync(join(folder, 'pid'), 'nonsense');
  assert.throws(() => lockStateDirectory(folder), { message: new RegExp(`^another cryonet uses ${folder}`) });
  for (let i = 0; i < 2; i++) mine.release();
  assert.equal(existsSync(join(folder, 'pid')), false);
  lockStateDirectory(folder).release();
});

test('a lock ends with its process, and needs nothing written', async (context) => {
  const folder = folderOf(context);
  const module = JSON.stringify(new URL('../control/io/state-lock.ts', import.meta.url).href);
  const script = `(await import(${module})).lockStateDirectory(process.argv[1]); console.log('has it'); setInterval(() => {}, 1000);`;
  const flags = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script, folder];
  const holder = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] });
  context.after(() => holder.kill('SIGKILL'));
  await new Promise((resolve) => holder.stdout!.once('data', resolve));
  assert.throws(() => lockStateDirectory(folder), { message: new RegExp(`\\(pid ${holder.pid}\\)`) });
  holder.kill('SIGKILL');
  await new Promise((resolve) => holder.once('exit', resolve));
  fullDisk(context, 'EROFS');
  const { lacking, release } = lockStateDirectory(folder);
  assert.equal(lacking, undefined);
  release();
});

test('a folder or a key that cannot be used is refused with bad_config, by name', (context) => {
  const folder = folderOf(context);
  mkdirSync(folder);
  const pem = join(folder, 'identity.pem');
  writeFileSync(pem, 'nonsense');
  const remedy =
    'put it back from a backup, or delete it for a new identity, which peers that know this ID will refuse';
  const key = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  for (const [content, fault] of [
    ['nonsense', 'is no private key'],
    ['', 'is empty'],
    [' \n', 'is empty'],
    [key.slice(0, 70), 'is cut short'],
  ] as const) {
    writeFileSync(pem, content);
    assert.throws(() => openStateDirectory(folder, 1), {
      code: 'bad_config',
      message: `${pem} ${fault}: ${remedy}`,
    });
    assert.equal(readFileSync(pem, 'utf8'), content, 'nothing is put in its place');
  }
  writeFileSync(pem, generateKeyPairSync('x25519').privateKey.export({ type: 'pkcs8', format: 'pem' }));
  assert.throws(() => openStateDirectory(folder, 1), {
    code: 'bad_config',
    message: `${pem} is no Ed25519 key`,
  });
  assert.throws(() => openStateDirectory(join(pem, 'x'), 1), {
    code: 'bad_config',
    message: /^--state-dir .* cannot be used: ENOTDIR/,
  });
});

test('a key that is forgotten stays so across starts, until another one is kept', (context) => {
  const folder = folderOf(context);
  const first = openStateDirectory(folder, 1);
  first.pin('berlin', 'ab'.repeat(32));
  first.pin('ams', 'ab'.repeat(32));
  first.pin('berlin', null);
  first.pin('unknown', null);
  assert.deepEqual([...first.readPins()!.keys()], ['ams']);
  const { tell, said } = newTell();
  const second = openStateDirectory(folder, 2, tell);
  assert.deepEqual([...second.pins.keys()], ['ams']);
  assert.deepEqual([...said], [], 'the line is no mistake');
  second.pin('berlin', 'cd'.repeat(32));
  assert.equal(openStateDirectory(folder, 3).pins.get('berlin'), 'cd'.repeat(32));
});

test('what operators said is kept across starts, whole; lines that are none are passed over', (context) => {
  const folder = folderOf(context);
  const all = [1, 2].map((byte) => ({
    statement: new Uint8Array(40).fill(byte),
    signature: new Uint8Array(64).fill(byte),
  }));
  const first = openStateDirectory(folder, 1);
  assert.deepEqual(first.statements, []);
  first.keepStatements(all);
  const path = join(folder, 'statements');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(openStateDirectory(folder, 2).statements, all);
  writeFileSync(path, `${readFileSync(path, 'utf8').slice(0, -3)}\nx y\n\n`);
  assert.deepEqual(openStateDirectory(folder, 3).statements, all.slice(0, 1));
  first.keepStatements([]);
  assert.deepEqual(openStateDirectory(folder, 4).statements, []);
});

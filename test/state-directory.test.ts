import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { signWith, verifyWith } from '../control/io/crypto.ts';
import { openStateDirectory } from '../control/io/state-directory.ts';
import { temporaryFolder } from './socket-pair.ts';

function folderOf(context: TestContext): string {
  return join(temporaryFolder(context), 'state');
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

test('an epoch file that holds no number does not stop a start', (context) => {
  const folder = folderOf(context);
  mkdirSync(folder);
  for (const content of ['', 'soon', '-5', '1e400', '99999999999999999999', '1.5']) {
    writeFileSync(join(folder, 'epoch'), content);
    const { epoch } = openStateDirectory(folder, 1_764_000_000_000);
    assert.ok(Number.isSafeInteger(epoch) && epoch >= 1_764_000_000_000, content);
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

test('lines that name no key are passed over, comments too', (context) => {
  const folder = folderOf(context);
  const key = Buffer.alloc(32, 7);
  mkdirSync(folder);
  writeFileSync(
    join(folder, 'identities'),
    `# a comment\n\nx\ny short\n  berlin   ${key.toString('base64url')}  \n`,
  );
  assert.deepEqual([...openStateDirectory(folder, 1).pins], [['berlin', key.toString('hex')]]);
});

test('a folder or a key that cannot be used is refused with bad_config, by name', (context) => {
  const folder = folderOf(context);
  mkdirSync(folder);
  const pem = join(folder, 'identity.pem');
  writeFileSync(pem, 'nonsense');
  assert.throws(() => openStateDirectory(folder, 1), {
    code: 'bad_config',
    message: `${pem} is no private key`,
  });
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

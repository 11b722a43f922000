import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readConfig } from '../control/config/config.ts';
import { weaknessOf } from '../control/config/token.ts';
import { tokenKey } from '../control/io/crypto.ts';
import { refusal, tomlFile, type Variables } from './refusal.ts';
import { temporaryFolder } from './socket-pair.ts';

test('a token may start with dashes', () => {
  assert.equal(readConfig(['--token=--x', 'n'], {}, 0).tokens[0], '--x');
});

test('the token comes from the strongest source; of one source, the token itself before its file', (context) => {
  const folder = temporaryFolder(context);
  const path = join(folder, 'token');
  writeFileSync(path, '  in a file \n');
  const config = tomlFile(context, 'token = "in the configuration"\n');
  const tokenOf = (argv: readonly string[], env: Variables = {}) =>
    readConfig([...argv, 'n'], env, 0).tokens.join();
  const sourceOf = (argv: readonly string[], env: Variables = {}) =>
    readConfig([...argv, 'n'], env, 0).tokenSource;
  assert.equal(tokenOf(['--token', 'flag']), 'flag');
  assert.equal(tokenOf(['--token', 'flag'], { TOKEN: 'variable' }), 'flag');
  assert.equal(tokenOf([], { TOKEN: 'variable' }), 'variable');
  assert.equal(tokenOf(['--token-file', path]), 'in a file');
  assert.equal(tokenOf([], { TOKEN_FILE: path }), 'in a file');
  assert.equal(tokenOf(['--config', config]), 'in the configuration');
  assert.equal(tokenOf([], { CREDENTIALS_DIRECTORY: folder }), 'in a file');
  assert.equal(tokenOf(['--token', 'flag', '--token-file', path]), 'flag');
  assert.equal(tokenOf([], { TOKEN: 'variable', CREDENTIALS_DIRECTORY: folder }), 'variable');
  assert.equal(tokenOf(['--token-file', path], { TOKEN: 'variable' }), 'in a file');
  assert.equal(tokenOf(['--token-file', path, '--config', config]), 'in a file');
  assert.equal(tokenOf(['--config', config], { TOKEN_FILE: path }), 'in a file');
  assert.equal(sourceOf(['--token', 'flag']), '--token');
  assert.equal(sourceOf([], { TOKEN: 'variable' }), 'the environment variable TOKEN');
  assert.equal(sourceOf(['--token-file', path]), `${path}, named by --token-file`);
  assert.equal(sourceOf([], { TOKEN_FILE: path }), `${path}, named by the environment variable TOKEN_FILE`);
  assert.equal(sourceOf(['--config', config]), `token in ${config}`);
  assert.equal(sourceOf([], { CREDENTIALS_DIRECTORY: folder }), 'the credential token');
});

test('a file has a token a line, which count in this order; a few at most', (context) => {
  const path = join(temporaryFolder(context), 'token');
  const tokensOf = (content: string) => {
    writeFileSync(path, content);
    return readConfig(['--token-file', path, 'n'], {}, 0).tokens;
  };
  assert.deepEqual(tokensOf('one\n'), ['one']);
  assert.deepEqual(tokensOf('\nnext one \r\n\r\n \n  one'), ['next one', 'one']);
  const eight = Array.from({ length: 8 }, (_, i) => `token ${i}`);
  assert.deepEqual(tokensOf(eight.join('\n')), eight);
  assert.throws(() => tokensOf(`${eight.join('\n')}\ngeheim`), {
    code: 'bad_config',
    message: `${path}, named by --token-file: 9 lines, each a token, are more than 8`,
  });
});

test('a token that cannot be had is refused by one line with the reason', (context) => {
  const folder = temporaryFolder(context);
  const empty = join(folder, 'empty');
  writeFileSync(empty, ' \n');
  const missing = join(folder, 'missing');
  assert.equal(refusal(['n']), 'the mesh needs a token: give --token, --token-file or TOKEN');
  assert.equal(refusal(['n'], { TOKEN: '' }), 'the mesh needs a token: give --token, --token-file or TOKEN');
  assert.equal(refusal(['--token', '', 'n']), '--token takes the secret of the mesh, not this value');
  assert.equal(refusal(['--token-file', empty, 'n']), `--token-file: ${empty} is empty`);
  assert.match(refusal(['--token-file', missing, 'n']), /^--token-file cannot be read: ENOENT.*missing/);
  assert.match(
    refusal(['n'], { TOKEN_FILE: folder }),
    /^the environment variable TOKEN_FILE cannot be read: EISDIR/,
  );
  assert.match(
    refusal(['n'], { CREDENTIALS_DIRECTORY: missing }),
    /^credential token cannot be read: ENOENT/,
  );
});

test('a token is weak that is short, of few characters, a number or a word; nothing of it is said', () => {
  const weak = [
    ...['secret', '0123456789abcde', 'abababababababababababab', '00000000000000000000000000000000'],
    ...['12345678901234567890', 'internationalization', 'Supercalifragilistic', 'incomprehensible123', ''],
  ];
  for (const token of weak) {
    const why = weaknessOf(token);
    assert.ok(why !== undefined, token);
    assert.ok(token === '' || !why.includes(token), why);
  }
  for (const strong of [
    'kX1mRk0gYq8b2D6qJm4fWb8Nn0o0k3mM2c0H8p4pXyA=',
    '9f86d081884c7d659a2feaa0c55ad015',
    'the secret of the lab',
    'q7Zr2Lk9Vb1Xw5Tn',
  ]) {
    assert.equal(weaknessOf(strong), undefined, strong);
  }
});

test('the event loop turns while a token is stretched', async () => {
  let turned = false;
  setImmediate(() => {
    turned = true;
  });
  await tokenKey('a token');
  assert.ok(turned);
});

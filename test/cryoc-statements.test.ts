/** `cryoc operator`, `accept`, `revoke` and `forget`: what they write, sign and say, with a node that takes what they sign. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import type { Ask, Given } from '../cli/command.ts';
import { operator } from '../cli/commands/operator.ts';
import { statements } from '../cli/commands/statements.ts';
import { statementCommand } from '../cli/local/statement-command.ts';
import { hex } from '../control/core/environment.ts';
import { step } from '../control/core/mesh.ts';
import { newMesh } from '../control/core/state.ts';
import { sha256, verifyWith } from '../control/io/crypto.ts';
import { judgeStatement, listed, shown } from '../control/said.ts';
import { operatorIn } from '../protocol/statement.ts';
import { fingerprintOf, keyOf } from './environment.ts';
import { temporaryFolder } from './socket-pair.ts';
import { plain } from './status-example.ts';

const fingerprint = fingerprintOf(keyOf('osaka'));
const passphrase = 'correct horse battery staple';

/** A node that heeds these operators, and whose clock is `ahead` milliseconds ahead. */
function nodeOf(operators: readonly string[], ahead = 0) {
  const env = {
    now: Date.now(),
    random: () => 0.5,
    sign: () => new Uint8Array(64),
    verify: verifyWith,
    digest: sha256,
  };
  const mesh = newMesh(
    { id: 'berlin', key: keyOf('berlin'), epoch: 1, turn: false },
    {
      ...{
        policy: { allow: [], deny: [] },
        checkInterval: 10_000,
        forgetAfter: 60_000,
        aliveInterval: 20_000,
        webSocketPaths: false,
      },
      ...{ named: new Map(), identities: { file: '', reload: '' } },
      operators: operators.map((line) => hex(operatorIn(line)!)),
    },
    new Map(),
    env,
  );
  const ask = (async (route: string, body: Record<string, string>) => {
    if (route === 'GET /v1/statements') return listed(mesh);
    const [statement, signature] = ['statement', 'signature'].map(
      (part) => new Uint8Array(Buffer.from(body[part]!, 'base64url')),
    );
    const signed = { statement: statement!, signature: signature! };
    const taken = judgeStatement(mesh, signed, env, Date.now() + ahead);
    step(mesh, { type: 'statement', signed }, env);
    return shown(taken, true);
  }) as unknown as Ask;
  return { mesh, ask };
}

const noNode = (() => assert.fail('no node is asked')) as unknown as Ask;

async function generate(context: TestContext, options: Given['options'] = { passphrase: false }) {
  const key = join(temporaryFolder(context), 'deep', 'operator.pem');
  const done = await operator.run({ args: ['generate', key], options }, noNode);
  assert.ok(typeof done !== 'number');
  return { key, line: (done.json as { operator: string }).operator, text: done.text(plain) };
}

function passphraseIn(context: TestContext, text: string): string {
  const path = join(temporaryFolder(context), 'passphrase');
  writeFileSync(path, `${text}\n`);
  return path;
}

suite('an operator key', () => {
  test('is made for its owner alone, says what belongs where, and never replaces another', async (context) => {
    const { key, line, text } = await generate(context);
    assert.equal(statSync(key).mode & 0o777, 0o600);
    assert.match(
      text,
      new RegExp(`\noperators = \\["${line}"\\]\n\ninto /etc/cryonet/config.toml of every node`),
    );
    assert.ok(
      readFileSync(key, 'utf8').startsWith(`operator key of a cryonet mesh: operators = ["${line}"]\n`),
    );
    const again = operator.run({ args: ['generate', key], options: { passphrase: false } }, noNode);
    await assert.rejects(Promise.resolve(again), {
      code: 'bad_config',
      message: /is there already: name another/,
    });
  });

  test('has a passphrase, which opens it and no other does; a short one is refused', async (context) => {
    const passphraseFile = passphraseIn(context, passphrase);
    const { key, line } = await generate(context, { passphraseFile });
    assert.match(readFileSync(key, 'utf8'), /-----BEGIN ENCRYPTED PRIVATE KEY-----/);
    const { ask } = nodeOf([line]);
    const done = await statementCommand('revoke', { args: ['osaka'], options: { key, passphraseFile } }, ask);
    assert.match(done.text(plain), /^revoked: osaka is out, on every node/);
    const other = { key, passphraseFile: passphraseIn(context, 'another one altogether') };
    await assert.rejects(statementCommand('revoke', { args: ['osaka'], options: other }, ask), {
      code: 'bad_config',
      message: `${key} cannot be opened: it has another passphrase`,
    });
    const short = generate(context, { passphraseFile: passphraseIn(context, 'eleven char') });
    await assert.rejects(short, { code: 'bad_config', message: /12 characters at least/ });
  });

  test('that others may read without a passphrase, that is none, or is not there, signs nothing', async (context) => {
    const { key, line } = await generate(context);
    const { ask } = nodeOf([line]);
    const refused = (message: RegExp, path = key) =>
      assert.rejects(statementCommand('forget', { args: ['osaka'], options: { key: path } }, ask), {
        code: 'bad_config',
        message,
      });
    chmodSync(key, 0o640);
    await refused(/^others may read .*: chmod 600 /);
    const none = passphraseIn(context, 'no key at all');
    await refused(/ is no operator key$/, none);
    await refused(
      /^there is no operator key .*cryoc operator generate .*config\.toml of every node$/,
      `${key}.not`,
    );
    assert.ok(!existsSync(`${key}.not`));
  });
});

suite('a statement', () => {
  test('is signed here, told with what it does, and later than what was said before, whatever the clock', async (context) => {
    const { key, line } = await generate(context);
    const { mesh, ask } = nodeOf([line]);
    const run = async (kind: 'accept' | 'revoke' | 'forget', subject: string, more = {}) =>
      statementCommand(kind, { args: [subject], options: { key, ...more } }, ask);
    const revoked = await run('revoke', fingerprint);
    assert.match(revoked.text(plain), /has the token, too, and may come as another node: change it/);
    context.mock.timers.enable({ apis: ['Date'], now: Date.now() - 86_400_000 });
    const accepted = await run('accept', 'osaka', { fingerprint });
    context.mock.timers.reset();
    assert.ok(accepted.text(plain).startsWith(`accepted: ${fingerprint} speaks for osaka, on every node`));
    await run('forget', 'riga');
    const { statements: said } = listed(mesh);
    const times = Object.fromEntries(said.map(({ subject, time }) => [subject, time]));
    assert.equal(times.osaka, times[fingerprint]! + 1);
    assert.deepEqual(
      said.map(({ kind }) => kind),
      ['revoke', 'accept', 'forget'],
    );
  });

  test('is none of what has no ID, no whole fingerprint, or no operator here: each says what to do', async (context) => {
    const { key, line } = await generate(context);
    const cases: readonly (readonly [Parameters<typeof statementCommand>[0], string, object, Ask, RegExp])[] =
      [
        ['revoke', 'a b', {}, noNode, /^revoke takes an ID or a fingerprint \(SHA256:…\), not "a b"$/],
        ['forget', fingerprint, {}, noNode, /^forget takes an ID, not "SHA256:/],
        ['accept', 'osaka', {}, noNode, /^accept needs the whole fingerprint .*cryoc status shows it/],
        ['accept', 'osaka', { fingerprint: fingerprint.slice(0, 17) }, noNode, /^accept needs the whole/],
        [
          'revoke',
          'osaka',
          {},
          nodeOf([]).ask,
          /^the node has no operators: put operators = \["ed25519:\S{43}"\] into/,
        ],
        [
          'revoke',
          'osaka',
          {},
          nodeOf([`ed25519:${'A'.repeat(43)}`]).ask,
          /^this key is no operator of the node: put/,
        ],
      ];
    for (const [kind, subject, more, ask, message] of cases)
      await assert.rejects(statementCommand(kind, { args: [subject], options: { key, ...more } }, ask), {
        code: 'bad_config',
        message,
      });
    const late = nodeOf([line], -2 * 3_600_000);
    await assert.rejects(statementCommand('revoke', { args: ['osaka'], options: { key } }, late.ask), {
      code: 'bad_message',
      message: /more than an hour ahead of the clock here: correct one of the clocks$/,
    });
  });
});

test('the list of statements fits 80 columns, the latest first, with what no longer counts in brackets', () => {
  const line = `ed25519:${'A'.repeat(43)}`;
  const common = { time: Date.UTC(2026, 10, 30, 21, 5), operator: line };
  const reply = {
    operators: [line],
    statements: [
      { ...common, kind: 'revoke' as const, subject: 'osaka', counts: false },
      { ...common, kind: 'accept' as const, subject: 'osaka', fingerprint, counts: true },
      { ...common, kind: 'revoke' as const, subject: fingerprint, counts: true },
    ],
  };
  const text = statements.show(reply, { args: [], options: {} }).text({ color: false, width: 80 });
  const short = fingerprint.slice(0, 17);
  assert.equal(
    text,
    `operator ${line}

TIME (UTC)        SAYS      OF                 KEY                OPERATOR
2026-11-30 21:05  revoke    ${short}                     ed25519:AAAAAAAAAA
2026-11-30 21:05  accept    osaka              ${short}  ed25519:AAAAAAAAAA
2026-11-30 21:05  (revoke)  osaka                                 ed25519:AAAAAAAAAA

(in brackets: a later one counts)
`,
  );
  const none = statements.show({ operators: [], statements: [] }, { args: [], options: {} });
  assert.match(none.text(plain), /^no operators: make a key by cryoc operator generate/);
});

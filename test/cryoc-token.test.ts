/** `cryoc token`: what it does to the file, what it says, and what it has the node do. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Ask } from '../cli/command.ts';
import { tokenCommand } from '../cli/local/token-command.ts';
import { tokenTag } from '../control/io/crypto.ts';
import { CryonetError } from '../protocol/errors.ts';
import type { StatusReport } from '../protocol/status.ts';
import { temporaryFolder } from './socket-pair.ts';
import { exampleReport, plain } from './status-example.ts';

const [old, next] = ['the-token-of-before-9B', 'the-token-from-now-on-4C'];
const [oldTag, nextTag] = (await Promise.all([old, next].map(tokenTag))) as [string, string];

interface Bench {
  readonly file: string;
  /** What the node was asked to do. */
  readonly reloads: string[];
  content(): string;
  run(...words: string[]): Promise<{ json: unknown; text: string }>;
}

/** A node that has its tokens where it says, and may not read them itself if `waits`. */
function bench(
  context: TestContext,
  content: string | undefined,
  tokens?: StatusReport['tokens'],
  waits = false,
): Bench {
  const file = join(temporaryFolder(context), 'token');
  if (content !== undefined) writeFileSync(file, content, { mode: 0o640 });
  const reloads: string[] = [];
  const ask = (async (route: string) => {
    if (route === 'GET /v1/status')
      return { ...exampleReport, tokens: tokens ?? { accepted: 1, source: file, file } };
    assert.equal(route, 'POST /v1/reload');
    reloads.push(readFileSync(file, 'utf8'));
    return { applied: waits ? [] : ['token'], needsRestart: waits ? ['token-file'] : [] };
  }) as unknown as Ask;
  return {
    ...{ file, reloads },
    content: () => readFileSync(file, 'utf8'),
    run: async (...words) => {
      const options = Object.fromEntries(
        words
          .filter((word) => word.startsWith('--'))
          .map((word) => [word.replace(/^--(no-)?/, ''), !word.startsWith('--no-')]),
      );
      const args = words.filter((word) => !word.startsWith('--'));
      const { json, text } = await tokenCommand({ args, options }, ask);
      return { json, text: text(plain) };
    },
  };
}

function given(context: TestContext, token: string): string {
  const path = join(temporaryFolder(context), 'given');
  writeFileSync(path, `${token}\n`);
  return path;
}

test('a token is added, used and dropped in the file, which keeps its mode, and the node reads it each time', async (context) => {
  const { run, content, file, reloads } = bench(context, `${old}\n`);
  const adding = await run('add', given(context, next));
  assert.equal(content(), `${old}\n${next}\n`);
  assert.match(
    adding.text,
    new RegExp(`^added ${nextTag}\nnext: add it on every other node .*cryoc token use ${nextTag}\n$`),
  );
  const using = await run('use', nextTag);
  assert.equal(content(), `${next}\n${old}\n`);
  assert.equal(
    using.text,
    `joins by ${nextTag} from now on\nnext: when every node uses it, on each: cryoc token drop ${oldTag}\n`,
  );
  assert.equal((await run('list')).text, `${file}:\n${nextTag}  to join by\n${oldTag}  accepted\n`);
  const dropping = await run('drop', oldTag);
  assert.equal(content(), `${next}\n`);
  assert.match(dropping.text, new RegExp(`^dropped ${oldTag}: .*\nnext: links that are up .*\n$`));
  assert.equal(reloads.length, 3);
  assert.deepEqual(dropping.json, {
    ...{ file, tags: [nextTag], token: oldTag },
    reloaded: { applied: ['token'], needsRestart: [] },
  });
  for (const { text } of [adding, using, dropping]) assert.ok(!text.includes(old) && !text.includes(next));
  assert.equal(statSync(file).mode & 0o7777, 0o640);
  assert.deepEqual(readdirSync(join(file, '..')), ['token']);
});

test('a new token is printed; with --add it is in the file and not printed', async (context) => {
  const { run, content, reloads } = bench(context, `${old}\n`);
  const one = (await run('generate')).text;
  assert.match(one, /^[\w-]{43}\n$/);
  assert.notEqual((await run('generate')).text, one);
  assert.deepEqual([content(), reloads], [`${old}\n`, []]);
  const { text } = await run('generate', '--add');
  const made = content().split('\n')[1]!;
  assert.match(made, /^[\w-]{43}$/);
  assert.ok(text.startsWith(`added ${await tokenTag(made)}\n`) && !text.includes(made), text);
});

test('the first token makes a file for its user alone', async (context) => {
  const { run, file } = bench(context, undefined);
  const { text } = await run('generate', '--add');
  assert.equal(statSync(file).mode & 0o7777, 0o600);
  assert.match(text, /next: the same token on every node of the mesh/);
});

test('a link to the file stays a link', async (context) => {
  const { run, file } = bench(context, undefined);
  const real = join(file, '../elsewhere');
  writeFileSync(real, old, { mode: 0o600 });
  symlinkSync(real, file);
  await run('add', given(context, next));
  assert.equal(readFileSync(real, 'utf8'), `${old}\n${next}\n`);
  assert.ok(existsSync(file));
});

test('with --no-reload the node is left alone; a node that may not read the file is to be restarted', async (context) => {
  const still = bench(context, `${old}\n`);
  assert.match(
    (await still.run('add', '--no-reload', given(context, next))).text,
    /\nthe node was not reloaded\n/,
  );
  assert.deepEqual(still.reloads, []);
  const waits = bench(context, `${old}\n`, undefined, true);
  assert.match(
    (await waits.run('add', given(context, next))).text,
    /\n.*after systemctl restart cryonet, .*\n/,
  );
});

test('a weak token is added, and a line says why it is weak', async (context) => {
  const { run } = bench(context, `${old}\n`);
  assert.match(
    (await run('add', given(context, 'hunter2'))).text,
    /\n[0-9a-f]{6} is weak: it has less than 16 characters; /,
  );
});

const full = Array.from({ length: 8 }, (_, i) => `token-number-${i}-of-eight`).join('\n');
const refusals: readonly [
  what: string,
  content: string,
  words: readonly string[],
  given: string | undefined,
  said: RegExp,
][] = [
  ['a token that is there', old, ['add'], old, /has that token already$/],
  ['no token', old, ['add'], '', /it is empty$/],
  ['two tokens', old, ['add'], 'one\ntwo', /more than one line/],
  ['the word for none', old, ['add'], 'none', /none stands for no token$/],
  ['a token without end', old, ['add'], 'x'.repeat(2000), /more than 1024 characters$/],
  ['a ninth token', full, ['add'], next, /has 8 tokens, the most: drop one first$/],
  [
    'a tag that no token has',
    old,
    ['use', 'abcdef'],
    undefined,
    /^no token has the tag abcdef; .* has: [0-9a-f]{6}$/,
  ],
  ['no tag', old, ['drop'], undefined, /^which token\? .* has: [0-9a-f]{6}$/],
  ['the first as first', `${old}\n${next}`, ['use', oldTag], undefined, /is the first one already$/],
  ['to drop the only one', old, ['drop', oldTag], undefined, /is the only token: add another first$/],
  ['to drop the first', `${old}\n${next}`, ['drop', oldTag], undefined, /is the one to join by: /],
];
for (const [what, content, words, token, said] of refusals) {
  test(`refused, and the file is as it was: ${what}`, async (context) => {
    const { run, content: now, reloads } = bench(context, content);
    const more = token === undefined ? [] : [given(context, token)];
    await assert.rejects(run(...words, ...more), (error: CryonetError) => {
      assert.match(error.message, said);
      assert.ok(!error.message.includes(old) && !error.message.includes(next));
      return error.code === 'bad_config';
    });
    assert.deepEqual([now(), reloads], [content, []]);
  });
}

test('a file that everyone may read is not written to', async (context) => {
  const { run, file, content } = bench(context, `${old}\n`);
  chmodSync(file, 0o644);
  await assert.rejects(run('add', given(context, next)), {
    message: /has mode 0644, so everyone may read it: chmod 0600 it$/,
  });
  assert.equal(content(), `${old}\n`);
});

test('a token that is in no file is changed where it is', async (context) => {
  for (const [source, said] of [
    [
      'the environment variable TOKEN',
      /from the environment variable TOKEN, which is no file: put it into a file/,
    ],
    ['the credential token', /from the credential token, which is no file: change what LoadCredential=/],
  ] as const) {
    const { run } = bench(context, old, { accepted: 1, source, file: null });
    await assert.rejects(run('list'), { code: 'bad_config', message: said });
  }
});

test('a reload that fails says that the file is changed', async (context) => {
  const file = join(temporaryFolder(context), 'token');
  writeFileSync(file, old, { mode: 0o600 });
  const ask = (async () => {
    throw new CryonetError('bad_config', 'no option "alow"');
  }) as unknown as Ask;
  const args = ['add', given(context, next)];
  await assert.rejects(tokenCommand({ args, options: { file } }, ask), {
    message: /token is changed, but the node was not reloaded: no option "alow"$/,
  });
  assert.equal(readFileSync(file, 'utf8'), `${old}\n${next}\n`);
});

test('without a node it is the file of the service that is changed, by standard input', (context) => {
  const folder = temporaryFolder(context);
  const env = { ...process.env, CONFIGURATION_DIRECTORY: folder, XDG_RUNTIME_DIR: folder };
  mkdirSync(join(folder, 'none'));
  const cryoc = (...words: string[]) =>
    spawnSync(
      process.execPath,
      [join(import.meta.dirname, '../cli/main.ts'), '--runtime-dir', join(folder, 'none'), 'token', ...words],
      { env, input: `${old}\n`, encoding: 'utf8', timeout: 60_000 },
    );
  const { status, stdout, stderr } = cryoc('add');
  assert.deepEqual([status, stderr], [0, '']);
  assert.equal(stdout.split('\n')[1], 'no node runs here: it counts at its start');
  assert.equal(readFileSync(join(folder, 'token'), 'utf8'), `${old}\n`);
  const wrong = cryoc('forget');
  assert.deepEqual([wrong.status, wrong.stdout], [78, '']);
  assert.match(wrong.stderr, /^cryoc: .*forget.*list, generate, add, use, drop\.?\n$/);
});

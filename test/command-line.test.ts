import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { readConfig } from '../control/config/config.ts';
import { optionTable } from '../control/config/options.ts';
import { exitCode } from '../protocol/errors.ts';
import { bareEnvironment } from './bare-environment.ts';
import { refusal, tomlFile, type Variables } from './refusal.ts';

test('a command is no ID, unless it is meant', (context) => {
  const words = ['status', 'show', 'list', 'peers', 'help', 'version'];
  words.push('up', 'down', 'start', 'stop', 'restart', 'reload');
  for (const word of words) {
    const line = `cryonet takes no command "${word}": cryoc status asks a running node; a node of that ID: cryonet … -- ${word}`;
    assert.equal(refusal([word]), line, 'also without a token');
    assert.equal(refusal(['--token', 's', word]), line);
    assert.equal(refusal([word, '--token', 's', '--']), line);
    assert.equal(readConfig(['--token', 's', '--', word], {}, 0).id, word);
    assert.equal(readConfig(['--token=s', '--log-level', 'warn', '--', word], {}, 0).id, word);
    assert.equal(readConfig(['--token', 's'], { ID: word }, 0).id, word);
    const config = tomlFile(context, `id = "${word}"\n`);
    assert.equal(readConfig(['--token', 's', '--config', config], {}, 0).id, word);
    assert.equal(readConfig(['--service', '--token', 's', word], {}, 0).id, word);
  }
  for (const id of ['Status', 'status-1', 'uplink']) {
    assert.equal(readConfig(['--token', 's', id], {}, 0).id, id);
  }
});

test('a variable that is another program’s is named', () => {
  assert.match(
    refusal(['--token', 's', 'n'], { CONFIG: 'Release' }),
    /^Release, from the environment variable CONFIG, cannot be used: ENOENT.* \(where that variable is another program’s, unset it for cryonet\)$/,
  );
  assert.match(
    refusal(['--token', 's', 'n'], { CRYONET_CONFIG: '/nonexistent' }),
    /^\/nonexistent, from the environment variable CRYONET_CONFIG, cannot be used: ENOENT[^(]*$/,
  );
  const sourceOf = (argv: readonly string[], env: Variables) =>
    readConfig([...argv, 'n'], env, 0).tokenSource;
  assert.equal(sourceOf([], { TOKEN: 's' }), 'the environment variable TOKEN');
  assert.equal(sourceOf([], { TOKEN: 's', CRYONET_TOKEN: 't' }), 'the environment variable CRYONET_TOKEN');
  assert.equal(sourceOf(['--token', 's'], { TOKEN: 't' }), '--token');
});

test('a line about a file that a variable named says which variable', (context) => {
  const config = tomlFile(context, 'listen = "h"\n');
  assert.equal(
    refusal(['--token', 's', 'n'], { CONFIG: config }),
    `listen in ${config} (from the environment variable CONFIG) takes host:port, not "h"`,
  );
  const unknown = tomlFile(context, 'listn = "h"\n');
  assert.equal(
    refusal(['--token', 's', 'n'], { CONFIG: unknown }),
    `${unknown}:1:1 (from the environment variable CONFIG): no option "listn" (listen?)`,
  );
});

const lines: readonly [argv: readonly string[], line: RegExp][] = [
  [['--nonsense', 'n'], /^unknown option '--nonsense'$/],
  [['--listn=x', 'n'], /^unknown option '--listn' \(Did you mean --listen\?\)$/],
  [['-x', 'n'], /^unknown option '-x'$/],
  [['--listen', '--token', 'n'], /^--listen <ADDRESS> takes a value and got none: --token follows it$/],
  [['--token', '--listen', 'n'], /^--token <TOKEN> takes a value and got none: --listen follows it$/],
  [['--token', '--listen', 'h:1', 'n'], /^--token <TOKEN> takes a value and got none: --listen follows it$/],
  [['--token', '--listen=h:1', 'n'], /^--token <TOKEN> takes a value and got none: --listen follows it$/],
  [['--token', '--help'], /^--token <TOKEN> takes a value and got none: --help follows it$/],
  [['--token', '--', 'n'], /^--token <TOKEN> takes a value and got none: -- follows it$/],
  [['--buf-size', '--token=t', 'n'], /^--buf-size <BYTES> takes a value and got none: --token follows it$/],
  [['--listen', '--listn', 'n'], /^--listen <ADDRESS> takes a value and got none: --listn follows it$/],
  [['--listen'], /^--listen <ADDRESS> takes a value and got none$/],
  [['--token', 't', 'a', 'b'], /^too many arguments/],
];

test('every option that takes a value misses it where another option follows', () => {
  for (const { flag, value } of optionTable.filter((row) => row.value !== undefined)) {
    for (const { flag: next } of optionTable) {
      assert.equal(
        refusal([`--${flag}`, `--${next}`, 'x', 'n']),
        `--${flag} <${value}> takes a value and got none: --${next} follows it`,
      );
    }
  }
});

for (const [argv, line] of lines) {
  test(`cryonet ${argv.join(' ')}: one line`, () => assert.match(refusal(argv), line));
}

for (const [program, argv, line] of [
  [
    'dataplane',
    ['--socket', '--log-level', 'debug'],
    '--socket <SOCKET> takes a value and got none: --log-level follows it',
  ],
  ['dataplane', ['--webrtc'], '--webrtc <ENGINE> takes a value and got none'],
  [
    'cli',
    ['--runtime-dir', '--json', 'status'],
    '--runtime-dir <DIR> takes a value and got none: --json follows it',
  ],
] as const) {
  test(`${program} ${argv.join(' ')}: one line`, () => {
    const { status, stderr } = run(program, argv, {});
    assert.equal(status, exitCode.config);
    assert.equal(stderr.replace(/^\S+: /, ''), `${line}\n`);
  });
}

test('the other programs take CRYONET_ variables too, and pass over empty ones', () => {
  const level = (env: Variables) =>
    run('dataplane', ['--help'], env).stderr +
    run('dataplane', ['--socket', '/x/y/z'.repeat(30)], env).stderr;
  assert.match(level({ CRYONET_LOG_LEVEL: 'loud' }), /from env 'CRYONET_LOG_LEVEL' is invalid/);
  assert.match(level({ CRYONET_LOG_LEVEL: 'info', LOG_LEVEL: 'loud' }), /socket path too long/);
  assert.match(level({ LOG_LEVEL: '' }), /socket path too long/);
  assert.match(
    run('cli', ['status'], { CRYONET_RUNTIME_DIR: '/nonexistent/ours', RUNTIME_DIR: '/x' }).stderr,
    /nonexistent\/ours/,
  );
});

function run(program: string, argv: readonly string[], env: Variables) {
  const path = join(import.meta.dirname, '..', program, 'main.ts');
  return spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', path, ...argv], {
    encoding: 'utf8',
    env: bareEnvironment(env),
    timeout: 20_000,
  });
}

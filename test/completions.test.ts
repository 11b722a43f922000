import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { commands } from '../cli/commands.ts';
import { optionTable } from '../control/config/options.ts';
import { completions } from '../packaging/completions.ts';

const folder = mkdtempSync(join(tmpdir(), 'cryonet-completions-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function write(file: { path: string; text: string }): string {
  const path = join(folder, file.path);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, file.text);
  return path;
}

/** What bash offers at the end of the line, cut into words as readline does. */
function offered(line: string): string[] {
  const words = line.split(/\s+|(=)/).filter((word) => word !== undefined);
  const program = words[0]!;
  const script = write(
    completions('deb').find(({ path }) => path.endsWith(`/bash-completion/completions/${program}`))!,
  );
  // `complete -p` names the function, as it does for the shell itself: ... -F _cryonet cryonet
  const driver = `
    source "$1"; shift
    definition=$(complete -p "$1")
    [[ $definition =~ -F\\ ([^ ]+) ]] || exit 9
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    "\${BASH_REMATCH[1]}" "$1" "\${COMP_WORDS[COMP_CWORD]}" "\${COMP_WORDS[COMP_CWORD - 1]}"
    (( \${#COMPREPLY[@]} == 0 )) || printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { status, stdout, stderr } = spawnSync(
    'bash',
    ['--norc', '-u', '-c', driver, 'bash', script, ...words],
    { cwd: folder, encoding: 'utf8', timeout: 20_000 },
  );
  assert.equal(status, 0, stderr);
  assert.equal(stderr, '');
  return stdout.split('\n').filter((word) => word !== '');
}

suite('bash', () => {
  test('completes an option from its first letters', () => {
    assert.deepEqual(offered('cryonet --che'), ['--check-interval', '--check-timeout', '--check-config']);
  });

  test('offers every option of the table, and --help', () => {
    const flags = offered('cryonet -');
    for (const { flag } of optionTable) assert.ok(flags.includes(`--${flag}`), flag);
    assert.ok(flags.includes('--help'));
    assert.ok(flags.includes('-V'));
  });

  test('offers the values that an option can have, also after an equals sign', () => {
    for (const program of ['cryonet', 'cryonet-dataplane']) {
      assert.deepEqual(offered(`${program} --log-level `), ['debug', 'info', 'warn', 'error']);
      assert.deepEqual(offered(`${program} --log-format=`), ['auto', 'text', 'json']);
      assert.deepEqual(offered(`${program} --webrtc=`), ['node-datachannel', 'werift']);
    }
  });

  test('offers files and folders where these are meant, names with spaces whole', () => {
    mkdirSync(join(folder, 'ways', 'my node'), { recursive: true });
    writeFileSync(join(folder, 'ways', 'my token'), '');
    assert.deepEqual(offered('cryonet --token-file ways/my').sort(), ['ways/my node', 'ways/my token']);
    assert.deepEqual(offered('cryonet --state-dir=ways/'), ['ways/my node']);
    assert.deepEqual(offered('cryoc --socket ways/my').length, 2);
  });

  test('offers nothing where nobody can know, not even options', () => {
    assert.deepEqual(offered('cryonet --token '), []);
    assert.deepEqual(offered('cryonet --listen='), []);
  });

  test('knows the command of cryoc, whatever stands before it', () => {
    assert.deepEqual(offered('cryoc s'), ['status', 'statements']);
    for (const before of ['', '--socket /a ', '--socket=/a ', '--runtime-dir=/a '])
      assert.deepEqual(offered(`cryoc ${before}status --j`), ['--json'], before);
    assert.deepEqual(offered('cryoc --socket=/a statu'), ['status']);
    assert.deepEqual(offered('cryoc wait --p'), ['--peers', '--peer']);
    assert.deepEqual(
      offered('cryoc help '),
      commands.map(({ name }) => name),
    );
  });

  test('keeps what is internal to itself', () => {
    assert.ok(!offered('cryonet-dataplane --').includes('--child'));
  });
});

for (const shell of ['zsh', 'fish']) {
  const missing = spawnSync(shell, ['--version']).error !== undefined;
  test(`${shell} reads its completions`, { skip: missing && `${shell} is not installed` }, () => {
    const files = completions('deb').filter(({ path }) => path.includes(`/${shell}/`));
    assert.equal(files.length, 3);
    for (const file of files) {
      const { status, stderr } = spawnSync(shell, ['-n', write(file)], { encoding: 'utf8', timeout: 20_000 });
      assert.equal(`${status}${stderr}`, '0', file.path);
    }
  });
}

test('each shell looks where a package puts its completions, zsh where the distribution has it look', () => {
  const folders = (format: 'deb' | 'rpm') =>
    completions(format).map(({ path }) => path.replace(/[^/]+$/, ''));
  assert.ok(folders('deb').includes('/usr/share/zsh/vendor-completions/'));
  assert.ok(folders('rpm').includes('/usr/share/zsh/site-functions/'));
  assert.equal(new Set([...folders('deb'), ...folders('rpm')]).size, 4);
});

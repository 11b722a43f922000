/** `config.d`: which of its files are read, in which order, and what is wrong with the others. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { mistakesIn, readAgain } from '../control/config/check.ts';
import { readConfig } from '../control/config/config.ts';
import { filesBeside } from '../control/config/folder.ts';
import { ConfigError } from '../protocol/problem.ts';
import { refusal } from './refusal.ts';
import { temporaryFolder } from './socket-pair.ts';

/** A configuration file, with these files beside it. Returns its path. */
function beside(context: TestContext, files: Readonly<Record<string, string>>, main = ''): string {
  const folder = temporaryFolder(context);
  const path = join(folder, 'config.toml');
  writeFileSync(path, main);
  mkdirSync(join(folder, 'config.d'));
  for (const [name, toml] of Object.entries(files)) writeFileSync(join(folder, 'config.d', name), toml);
  return path;
}

function names(path: string): string[] {
  const folder = join(dirname(path), 'config.d');
  return filesBeside(path).map((file) => file.path.slice(folder.length + 1));
}

/** Without the path of the folder. */
function mistakes(path: string): string[] {
  return mistakesIn(path, {}, 0).map((line) => line.replace(`${dirname(path)}/`, ''));
}

const by = (path: string, env = {}) => readConfig(['--token', 't', '--config', path, 'a'], env, 0);

test('a later file wins, option by option and with all of a list; the command line wins over all', (context) => {
  const path = beside(
    context,
    {
      '90-last.toml': 'deny = ["z"]\n',
      '10-first.toml': 'allow = ["x"]\ndeny = ["y", "w"]\nmtu = 1400\n',
    },
    'allow = ["a", "b"]\nmtu = 1300\nudp-port = 5000\n',
  );
  const { allow, deny, mtu, udpPort } = by(path);
  assert.deepEqual([allow, deny, mtu, udpPort], [['x'], ['z'], 1400, 5000]);
  assert.deepEqual(by(path, { DENY: 'v' }).deny, ['v']);
});

test('a node without a folder, or with an empty one, has its file alone', (context) => {
  const folder = temporaryFolder(context);
  const path = join(folder, 'other.toml');
  writeFileSync(path, 'mtu = 1300\n');
  assert.equal(by(path).mtu, 1300);
  mkdirSync(join(folder, 'config.d'));
  assert.deepEqual(filesBeside(path), []);
  assert.deepEqual(mistakes(path), []);
});

test('copies of editors and package managers, hidden files, folders and a README are passed over', (context) => {
  const left = [
    ...['.10.toml.swp', '10.toml~', '#10.toml#', '10.toml.bak', '10.toml.orig', '.hidden.toml', 'README'],
    ...[
      '10.toml.dpkg-old',
      '10.toml.dpkg-dist',
      '10.toml.rpmsave',
      '10.toml.rpmnew',
      '4913.tmp',
      '10.toml.off',
    ],
  ];
  const path = beside(context, {
    '10.toml': '',
    ...Object.fromEntries(left.map((name) => [name, 'alow = 1'])),
  });
  const folder = join(dirname(path), 'config.d');
  mkdirSync(join(folder, 'sub'));
  // Of Emacs, while a file is being edited: it leads nowhere.
  symlinkSync('me@here.123', join(folder, '.#10.toml'));
  assert.deepEqual(names(path), ['10.toml']);
  assert.deepEqual(mistakes(path), []);
});

test('any other name is a mistake, in one line whatever it is', (context) => {
  for (const name of [
    '10.conf',
    'peers',
    'a b.toml',
    'a.toml.txt',
    '-x.toml',
    'a\nb.toml',
    'é.toml',
    'a\x1b.toml',
  ]) {
    const path = beside(context, { [name]: '' });
    const [line, ...more] = mistakes(path);
    const words = 'is not read: call it *.toml, of letters, digits and _.@+-, or begin its name with a dot';
    assert.equal(line, `config.d: ${JSON.stringify(name)} ${words}`);
    assert.deepEqual(more, []);
    assert.match(line, /^\P{Cc}*$/u);
    assert.equal(refusal(['--token', 't', '--config', path, 'a']), `${dirname(path)}/${line}`);
  }
});

test('a mistake is told with its file, and those of all files are', (context) => {
  const path = beside(
    context,
    { 'b.toml': '\nlisten = "h"\n', 'a.toml': 'mtu = 1\n alow = "x"\n', 'c.toml': 'x = [' },
    'udp-port = 0\n',
  );
  const lines = mistakes(path);
  assert.equal(lines[0], 'config.toml:1:1: udp-port takes a port from 1 to 65535, not "0"');
  assert.match(lines[1]!, /^config\.d\/a\.toml:1:1: mtu takes /);
  assert.equal(lines[2], 'config.d/a.toml:2:2: no option "alow" (allow?)');
  assert.equal(lines[3], 'config.d/b.toml:2:1: listen takes host:port, not "h"');
  assert.match(lines[4]!, /^config\.d\/c\.toml:\d+:\d+: Invalid TOML document: /);
  assert.equal(lines.length, 5);
});

test('who starts a node with a mistake is told the first with its file; a reload has all of them', (context) => {
  const path = beside(context, { 'a.toml': '\nalow = "x"\n', 'b.toml': 'listen = "h"\n' });
  const folder = join(dirname(path), 'config.d');
  const argv = ['--token', 't', '--config', path, 'a'];
  assert.equal(refusal(argv), `${folder}/a.toml:2:1: no option "alow" (allow?)`);
  assert.throws(
    () => readAgain(argv, {}, 0),
    (error) => {
      assert.ok(error instanceof ConfigError);
      assert.deepEqual(
        [error.file, error.mistakes.map(({ file, line, column }) => [file, line, column])],
        [
          path,
          [
            [`${folder}/a.toml`, 2, 1],
            [`${folder}/b.toml`, 1, 1],
          ],
        ],
      );
      return true;
    },
  );
  writeFileSync(join(folder, 'a.toml'), '');
  assert.equal(refusal(argv), `listen in ${folder}/b.toml takes host:port, not "h"`);
});

test('values of two files that are not good together are the mistake of the later one', (context) => {
  const path = beside(
    context,
    { '20.toml': '\nmtu = 1999\n', '10.toml': 'buf-size = 2000\n' },
    'mtu = 1300\n',
  );
  const [line, ...more] = mistakes(path);
  assert.match(line!, /^config\.d\/20\.toml:2:1: mtu takes /);
  assert.deepEqual(more, []);
});

test('sections of a peer in several files are one, setting by setting', (context) => {
  const path = beside(
    context,
    {
      '10.toml': '[peer.b]\ncost = 2\n[peer."?"]\ncost = 9\n',
      '20.toml': '[peer.b]\ndeny = true\n',
    },
    '[peer.b]\ncost = 1\npath = "relay"\n[peer."*"]\npath = "direct"\n',
  );
  assert.deepEqual(by(path).peerSections, [
    { pattern: '*', settings: { path: 'direct' } },
    { pattern: '?', settings: { cost: 9 } },
    { pattern: 'b', settings: { cost: 2, path: 'relay', deny: true } },
  ]);
  assert.deepEqual(mistakes(path), []);
});

test('keys of peers that contradict each other are the mistake of the later file, and no node starts', (context) => {
  const key = 'A'.repeat(43);
  const path = beside(
    context,
    { '20.toml': `[peer.c]\ncost = 1\nfingerprint = "${key}"\n`, '10.toml': 'mtu = 1400\n' },
    `[peer.b]\nfingerprint = "${key}"\n`,
  );
  assert.deepEqual(mistakes(path), ['config.d/20.toml:3:1: fingerprint is that of b already']);
  assert.equal(
    refusal(['--token', 't', '--config', path, 'a']),
    '[peer.c]: fingerprint is that of b already',
  );
  writeFileSync(join(dirname(path), 'config.d/20.toml'), `peer = ["b=${'B'.repeat(43)}"]\n`);
  assert.deepEqual(mistakes(path), [
    'config.toml:2:1: fingerprint is another than the option peer gives for b',
  ]);
});

test('a link counts as what it leads to; one to nowhere, a folder and a pipe are mistakes', (context) => {
  const path = beside(context, {}, '');
  const folder = join(dirname(path), 'config.d');
  writeFileSync(join(dirname(path), 'elsewhere'), 'mtu = 1400\n');
  symlinkSync('../elsewhere', join(folder, '10.toml'));
  symlinkSync('/dev/null', join(folder, '15.toml'));
  assert.equal(by(path).mtu, 1400);
  assert.deepEqual(mistakes(path), []);
  symlinkSync('nowhere', join(folder, '20.toml'));
  mkdirSync(join(folder, '30.toml'));
  execFileSync('mkfifo', [join(folder, '40.toml')]);
  symlinkSync('/dev/zero', join(folder, '50.toml'));
  symlinkSync('60.toml', join(folder, '60.toml'));
  assert.deepEqual(mistakes(path), [
    'config.d/20.toml: cannot be read: ENOENT',
    'config.d/30.toml: is a folder',
    'config.d/40.toml: is no file',
    'config.d/50.toml: is no file',
    'config.d/60.toml: cannot be read: ELOOP',
  ]);
});

test('a file in the place of the folder is a mistake', (context) => {
  const folder = temporaryFolder(context);
  const path = join(folder, 'config.toml');
  writeFileSync(path, '');
  writeFileSync(join(folder, 'config.d'), '');
  assert.deepEqual(mistakes(path), ['config.d: is no folder']);
});

test('what everybody may write is not believed', (context) => {
  const path = beside(context, { '10.toml': 'mtu = 1400\n' });
  const folder = join(dirname(path), 'config.d');
  chmodSync(join(folder, '10.toml'), 0o646);
  assert.deepEqual(mistakes(path), ['config.d/10.toml: can be written by everybody: chmod o-w 10.toml']);
  chmodSync(join(folder, '10.toml'), 0o644);
  chmodSync(folder, 0o777);
  const [line, ...more] = mistakes(path);
  assert.match(
    line!,
    /^config\.d\/10\.toml: everybody may replace what is in .*config\.d; keep it where only root/,
  );
  assert.deepEqual(more, []);
});

const isRoot = process.getuid?.() === 0;
const nobody = 65_534;

test('what another user made where anybody may is not believed', {
  skip: !isRoot && 'needs root',
}, (context) => {
  const path = beside(context, { '10.toml': 'mtu = 1400\n' });
  const folder = join(dirname(path), 'config.d');
  chmodSync(folder, 0o1777);
  chownSync(join(folder, '10.toml'), 65_534, 65_534);
  const [line, ...more] = mistakes(path);
  assert.match(
    line!,
    /^config\.d\/10\.toml: .* belongs to another user \(65534\), in .* where anybody may make it; /,
  );
  assert.deepEqual(more, []);
});

test('what may not be read says who must be able to', (context) => {
  const path = beside(context, { '10.toml': '' });
  chmodSync(join(dirname(path), 'config.d/10.toml'), 0);
  if (isRoot) {
    // Root may read everything, so somebody else looks.
    for (const folder of [dirname(path), join(dirname(path), 'config.d')]) chmodSync(folder, 0o755);
    process.seteuid!(nobody);
  }
  try {
    assert.match(
      mistakes(path)[0]!,
      /^config\.d\/10\.toml: cannot be read: EACCES: user .* must be able to read it/,
    );
  } finally {
    if (isRoot) process.seteuid!(0);
  }
});

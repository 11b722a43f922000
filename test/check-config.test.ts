/** `cryonet --check-config`: each kind of mistake has its line and column. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { mistakesIn } from '../control/config/check.ts';
import { bareEnvironment } from './bare-environment.ts';
import { tomlFile } from './refusal.ts';
import { temporaryFolder } from './socket-pair.ts';

/** Without the path. */
function mistakes(context: TestContext, toml: string): string[] {
  const path = tomlFile(context, toml);
  return mistakesIn(path, {}, 0).map((line) => {
    assert.ok(line.startsWith(path), line);
    assert.doesNotMatch(line, /\n/);
    return line.slice(path.length + 1);
  });
}

const kinds: readonly [what: string, toml: string, lines: readonly (string | RegExp)[]][] = [
  ['nothing', '', []],
  ['good values', 'id = "berlin"\nallow = ["a", "b-*"]\nmtu = 1400\n', []],
  ['a name that is nearly one', '\n  alow = ["a"]\n', ['2:3: no option "alow" (allow?)']],
  ['a name that is nearly two', 'tls-c = "x"\n', [/^1:1: no option "tls-c" \(.*tls-c.*\?\)$/]],
  ['a name that is nearly none', 'frobnication = 1\n', ['1:1: no option "frobnication"']],
  ['a quoted name', '"listn" = "x"\n', ['1:1: no option "listn" (listen?)']],
  ['a name with dots', 'allow.a = 1\n', [/^1:1: allow takes a string, a number, true or false, or a list/]],
  ['a table', 'id = "a"\n[listen]\nport = 1\n', [/^2:2: listen takes a string/]],
  ['a table that is no option', '\n[[peers]]\n', [/^2:3: no option "peers" \(peer\?\)$/]],
  ['a bad value', 'listen = "h"\n', ['1:1: listen takes host:port, not "h"']],
  [
    'a bad value of a list',
    'allow = [\n  "a",\n  "b c",\n]\n',
    [/^1:1: allow takes node IDs .*, not "a,b c"$/],
  ],
  ['a secret', 'ice-servers = "turn:h|u|p|q|r"\n', [/^1:1: ice-servers takes .*, not this value$/]],
  ['a server that is not served', 'ice-servers = "turns:h"\n', [/^1:1: ice-servers /]],
  ['a file that is not there', 'tls-ca = "/nonexistent"\n', [/^1:1: tls-ca takes .*\/nonexistent/]],
  [
    'several mistakes, in the order of the file',
    'udp-port = 0\nmtu = 1\nalow = "a"\n',
    ['1:1: udp-port takes a port from 1 to 65535, not "0"', /^2:1: mtu takes /, /^3:1: no option "alow"/],
  ],
  [
    'values that are not good together',
    'buf-size = 2000\n\nmtu = 1999\n',
    [/^3:1: mtu takes auto or a number of bytes from 1280 to .*, not "1999"$/],
  ],
  [
    'one file of two that go together',
    'tls-key = "/dev/null"\n',
    ['1:1: --tls-cert and --tls-key go together, and there is only tls-key'],
  ],
  ['no TOML', 'id = "a"\nallow = ["a"\nmtu = 1\n', [/^\d:\d+: Invalid TOML document: /]],
  ['a name given twice', 'mtu = 1280\nmtu = 1281\n', [/^2:\d+: Invalid TOML document: /]],
  [
    'what only looks like a line of its own',
    'state-dir = [\n"listen = 1",\n]\nruntime-dir = """\nlisten = 1"""\nlisten = "h"\n',
    ['6:1: listen takes host:port, not "h"'],
  ],
  ['a peer', '[peer.a]\nallow = true\npath = "relay"\ncost = 9\n[peer."b-*"]\ndeny = true\n', []],
  [
    'a peer with one key more than once',
    '[peer.a]\ncost = 1\n[peer.a]\ncost = 2\n',
    [/^3:\d+: Invalid TOML/],
  ],
  [
    'a setting that is nearly one',
    'mtu = 1400\n[peer.a]\ncost = 1\n\n  alow = true\n',
    ['5:3: peers have no setting "alow" (allow?)'],
  ],
  ['a setting that is none', "[peer.'a*']\nlisten = 1\n", ['2:1: peers have no setting "listen"']],
  [
    'bad values of peers',
    '[peer.a]\npath = "any way"\nallow = "perhaps"\n[peer."b*"]\ncost = 0\ndeny = { x = 1 }\npath = []\n',
    [
      '2:1: path takes any, direct, relay, not "any way"',
      '3:1: allow takes true or false, not "perhaps"',
      '5:1: cost takes a number from 1 to 65535, not "0"',
      '6:1: deny takes a string, a number, true or false, or a list of them',
      '7:1: path takes any, direct, relay, not ""',
    ],
  ],
  [
    'what no peer is called',
    '[peer."a b"]\ncost = 1\n[peer.""]\n',
    [/^1:2: "a b" is no ID of a peer, and no glob of/, /^3:2: "" is no ID/],
  ],
  ['a peer that is no table', '[peer]\na = true\n', ['2:1: the settings of a peer stand below [peer.a]']],
  [
    'a peer written in one line',
    'peer = { "a*" = { cost = 1, pth = "any" } }\n',
    ['1:1: peers have no setting "pth" (path?)'],
  ],
  ['a peer by dots', 'peer.a.cost = 1\npeer.a.pth = 1\n', ['2:1: peers have no setting "pth" (path?)']],
  ['a list of peers', '[[peer]]\nid = "a"\n', [/^1:3: peer takes a string/]],
  [
    'what contradicts itself',
    '[peer.a]\nallow = true\ndeny = true\n',
    ['3:1: allow and deny cannot both be true'],
  ],
  [
    'a key for many',
    `[peer."a*"]\nfingerprint = "SHA256:${'A'.repeat(43)}"\n`,
    ['2:1: fingerprint is that of one peer: give it in the section of an ID, not of a glob'],
  ],
  [
    'names of interfaces',
    '[peer.c]\ninterface = "c/d"\n[peer."d*"]\ninterface = "tod"\n[peer.e]\ninterface = "all"\n',
    [
      '2:1: interface takes a name of at most 15 letters, digits and _.-, not "c/d"',
      '4:1: interface is that of one peer: give it in the section of an ID, not of a glob',
      '6:1: interface takes a name of at most 15 letters, digits and _.-, not "all"',
    ],
  ],
  [
    'a name that another peer could choose its ID for',
    '[peer.rome]\ninterface = "cnrome"\n[peer.oslo]\ninterface = "cnrome2"\n',
    ['4:1: interface begins with cn, and may be that of another peer: choose another name'],
  ],
  [
    'the same with names of the kernel',
    'auto-interface-name = true\n[peer.rome]\ninterface = "cnrome"\n[peer.oslo]\ninterface = "tun3"\n',
    ['5:1: interface is as the kernel names them, and may be that of another peer: choose another name'],
  ],
  [
    'one name for two peers',
    '[peer.rome]\ninterface = "it"\n[peer.oslo]\ncost = 1\ninterface = "it"\n',
    ['5:1: interface is that of rome already'],
  ],
  [
    'addresses',
    'addresses = ["10.0.0.1"]\n[peer.a]\naddresses = ["10.0.0.1/32", "fd00::1/200"]\n',
    [
      /^1:1: addresses takes at most 64 addresses with their/,
      /^3:1: addresses takes .*not "10.0.0.1\/32,fd00::1\/200"$/,
    ],
  ],
  [
    'no key',
    '[peer.a]\nfingerprint = "SHA256:x"\n',
    ['2:1: fingerprint takes the fingerprint that cryoc status shows, or a key, not "SHA256:x"'],
  ],
  [
    'one key for two peers',
    `[peer.a]\nfingerprint = "${'A'.repeat(43)}"\n[peer.b]\ncost = 1\nfingerprint = "${'A'.repeat(43)}"\n`,
    ['5:1: fingerprint is that of a already'],
  ],
  [
    'a name that stands in a text',
    'id = "a"\n[peer.a]\npath = """\n[peer.b]\ncost = 0\n"""\n[peer.b]\ncost = 0\n',
    [/^3:1: path takes any, direct, relay, not /, /^8:1: cost takes /],
  ],
  [
    'an end of line of another system',
    'id = "a"\r\nlisten = "h"\r\n',
    ['2:1: listen takes host:port, not "h"'],
  ],
];

for (const [what, toml, lines] of kinds) {
  test(`${what}: ${lines.length} to tell`, (context) => {
    const told = mistakes(context, toml);
    assert.equal(told.length, lines.length, told.join('\n'));
    for (const [n, line] of lines.entries()) {
      if (typeof line === 'string') assert.equal(told[n], line);
      else assert.match(told[n]!, line);
    }
  });
}

test('no secret stands in a line', (context) => {
  for (const toml of [
    'token = ["geheim"',
    'token = { a = "geheim" }',
    'ice-servers = "turn:h|u|geheim|x|y"',
  ]) {
    for (const line of mistakes(context, toml)) assert.doesNotMatch(line, /geheim/);
  }
});

function cryonet(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const main = join(import.meta.dirname, '../control/main.ts');
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    ...{ encoding: 'utf8', timeout: 60_000 },
    env: bareEnvironment(env),
  });
  return [status, stdout, stderr];
}

test('the file is the one that is named, else that of --config, of a variable or of the service', (context) => {
  const bad = tomlFile(context, 'alow = "a"\n');
  const good = tomlFile(context, 'allow = "a"\n');
  const service = temporaryFolder(context);
  const refused = [78, '', `${bad}:1:1: no option "alow" (allow?)\n`];
  assert.deepEqual(cryonet(['--check-config', bad]), refused);
  assert.deepEqual(cryonet(['--check-config', good, '--config', bad]), [0, `${good}: good\n`, '']);
  assert.deepEqual(cryonet(['--config', bad, '--check-config']), refused);
  assert.deepEqual(cryonet(['--check-config'], { CONFIG: bad }), refused);
  const missing = join(service, 'config.toml');
  const [status, , stderr] = cryonet(['--check-config'], { CONFIGURATION_DIRECTORY: service });
  assert.equal(status, 78);
  assert.match(`${stderr}`, new RegExp(`^${missing}: ENOENT: .*\n$`));
  writeFileSync(missing, 'alow = "a"\n');
  const told = `${missing}:1:1: no option "alow" (allow?)\n`;
  assert.deepEqual(cryonet(['--check-config'], { CONFIGURATION_DIRECTORY: service }), [78, '', told]);
});

for (const name of ['help', 'version', 'check-config']) {
  test(`${name}, which only the command line has, is no option of a file, and does nothing there`, (context) => {
    const path = tomlFile(context, `${name} = true\n`);
    const refused = [78, '', `${path}:1:1: no option "${name}"\n`];
    assert.deepEqual(cryonet(['--check-config', path]), refused);
  });
}

test('a folder is no configuration file', (context) => {
  const folder = join(temporaryFolder(context), 'config.toml');
  mkdirSync(folder);
  assert.match(mistakesIn(folder, {}, 0).join('\n'), /^\/.*: EISDIR: /);
});

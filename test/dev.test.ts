/** `./dev` on machines that lack something: a checkout of its own, with programs that note how they were called. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, suite, test } from 'node:test';
import { tools } from '../netns-tests/lab/needs.ts';

const root = dirname(import.meta.dirname);

/** What every Debian has, as far as `dev` and the launchers use it. */
const essential = [
  ...[
    'bash',
    'sh',
    'env',
    'cat',
    'chmod',
    'cmp',
    'comm',
    'cp',
    'cut',
    'dirname',
    'find',
    'fold',
    'ln',
    'mkdir',
  ],
  ...['mktemp', 'mount', 'readlink', 'rm', 'sed', 'sort', 'stat', 'uname', 'unshare', 'xargs'],
];

let place: string;
let checkout: string;

beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'cryonet-dev-'));
  checkout = join(place, 'checkout');
  for (const folder of ['bin', 'sbin', 'checkout', 'home']) mkdirSync(join(place, folder));
  for (const name of essential) symlinkSync(pathOf(name), join(place, 'bin', name));
  for (const name of ['dev', 'bin', 'package-lock.json'])
    cpSync(join(root, name), join(checkout, name), { recursive: true });
  for (const file of ['netns-tests/demo.ts', 'test/run.ts', 'dataplane/native/build.mjs'])
    write(join(checkout, file), 'console.log("ran", process.argv.slice(1).join(" "));\n');
  for (const folder of ['dataplane/native/src', 'service/launch']) write(join(checkout, folder, 'one.c'), '');
  program('id', 'echo 1000');
  program('npm', 'mkdir -p node_modules && cp -R "$HOME/installed/." node_modules');
  for (const name of ['cc', 'ip', 'ping', 'iperf3', 'sudo']) program(name);
  // What `npm ci` leaves: a Node, and what is native.
  const node = join(place, 'home/installed', `node-linux-${process.arch}/bin/node`);
  mkdirSync(dirname(node), { recursive: true });
  symlinkSync(process.execPath, node);
  for (const [folder, result] of [
    ['dataplane/native', 'cryonet.node'],
    ['service/native', 'service.node'],
    ['service/launch', 'launch'],
  ] as const)
    write(join(checkout, folder, `build/linux-${process.arch}/${result}`), '');
});

afterEach(() => rmSync(place, { recursive: true, force: true }));

suite('a checkout', () => {
  test('lists its tasks, and refuses what is none', () => {
    const { status, output } = dev();
    assert.equal(status, 0);
    for (const task of ['demo', 'test', 'check', 'bench', 'package', 'build'])
      assert.match(output, new RegExp(`^ {2}${task} `, 'm'));
    const wrong = dev('tset');
    assert.equal(wrong.status, 2);
    assert.match(wrong.output, /no task tset\n[\s\S]*\.\/dev TASK/);
    for (const line of `${output}${wrong.output}`.split('\n')) assert.ok(line.length <= 80, line);
  });

  test('fetches the npm packages once, and again when the lock file has changed', () => {
    assert.match(dev('build').output, /fetching the npm packages/);
    assert.equal(dev('build').output, '');
    appendFileSync(join(checkout, 'package-lock.json'), '\n');
    assert.match(dev('build').output, /fetching the npm packages/);
    assert.deepEqual(calls('npm'), Array(2).fill('ci --no-audit --no-fund --loglevel=error'));
  });

  test('shows what npm said where it fails, and tries again the next time', () => {
    program('npm', 'echo "npm ERR! 503 upstream" >&2; exit 7');
    for (const _ of [1, 2]) {
      const { status, output } = dev('test');
      assert.equal(status, 1);
      assert.match(output, /npm ERR! 503 upstream/);
      assert.doesNotMatch(output, /^ran/m);
    }
  });

  test('needs no npm where its packages are there', () => {
    dev('test');
    rmSync(join(place, 'bin/npm'));
    const { status, output } = dev('test');
    assert.equal(status, 0, output);
  });

  test('compiles the addons where their sources are newer', () => {
    dev('test');
    const later = Date.now() / 1000 + 10;
    utimesSync(join(checkout, 'service/launch/one.c'), later, later);
    assert.match(dev('test').output, /compiling what is native/);
  });

  test('gives the arguments to the task', () => {
    assert.match(
      dev('test', 'test/a b.test.ts', 'test/c.test.ts').output,
      /ran .*run\.ts test\/a b\.test\.ts test\/c\.test\.ts\n/,
    );
  });

  test('can be called from anywhere, and by another name', () => {
    symlinkSync(join(checkout, 'dev'), join(place, 'elsewhere'));
    const { status, output } = run(join(place, 'elsewhere'), ['test'], place);
    assert.equal(status, 0, output);
  });
});

suite('without root', () => {
  test('says how to install what is missing, and goes no further where nothing works without it', () => {
    program('apt-get');
    rmSync(join(place, 'bin/npm'));
    rmSync(join(place, 'bin/cc'));
    const { status, output } = dev('build');
    assert.equal(status, 1);
    assert.match(output, /^ {2}sudo apt-get install --no-install-recommends npm gcc$/m);
    assert.match(output, /cannot go on without npm cc/);
    assert.deepEqual(calls('apt-get'), []);
  });

  test('runs the tests that work without what is missing', () => {
    program('apt-get');
    const { status, output } = dev('test', 'netns-tests/x.test.ts');
    assert.equal(status, 0);
    assert.match(output, /sudo apt-get install --no-install-recommends .*tcpdump/);
    assert.match(output, /skipped is what needs [\s\S]*tcpdump[\s\S]*ran /);
    assert.doesNotMatch(output, /mmdebstrap/, 'it is for tests of packages alone');
  });

  test('refuses a task that is of no use without, before it sets anything up', () => {
    for (const task of ['demo', 'bench']) {
      const { status, output } = dev(task);
      assert.equal(status, 1);
      assert.match(output, new RegExp(`needs root: sudo \\./dev ${task}`));
    }
    assert.ok(!existsSync(join(checkout, 'node_modules')));
  });
});

test('without apt it names the programs, and the Debian packages that have them', () => {
  program('id', 'echo 0');
  rmSync(join(place, 'bin/iperf3'));
  const { status, output } = dev('demo');
  assert.equal(status, 1);
  assert.match(output, /cannot go on without iperf3\n.*Debian has that in iperf3/);
  assert.ok(!existsSync(join(checkout, 'node_modules')));
});

// /usr/sbin is one of its own there: what is written to it, and what is on it, is not the machine's.
suite('as root', { skip: process.getuid?.() === 0 ? false : 'needs root for a mount namespace' }, () => {
  beforeEach(() => {
    program('id', 'echo 0');
    program('apt-cache');
    for (const name of ['ip', 'iperf3', 'ping']) rmSync(join(place, 'bin', name));
  });

  test('installs what is missing, says so, and nothing that is there already', () => {
    aptThatInstalls('ip', 'ping', 'iperf3');
    const { status, output } = dev('demo', '--keep');
    assert.equal(status, 0, output);
    assert.match(output, /installing from Debian, .*: iproute2 iputils-ping\n +iperf3\n/);
    assert.match(output, /ran .*demo\.ts --keep\n/);
    assert.doesNotMatch(output, /dpkg/, 'what apt says is of no interest where all is well');
    assert.deepEqual(calls('apt-get'), [
      'update -qq',
      'install -y -qq --no-install-recommends iproute2 iputils-ping iperf3',
    ]);
    assert.doesNotMatch(dev('demo').output, /installing/);
    for (const line of output.split('\n').filter((one) => !one.startsWith('ran')))
      assert.ok(line.length <= 80, line);
  });

  test('lets no daemon that it installs start, now or at boot, and leaves those alone that did before', () => {
    const units = join(place, 'home/units');
    writeFileSync(units, 'bird.service enabled enabled\n');
    program('systemctl', `case " $* " in *' list-unit-files '*) cat ${units} ;; *) cat ;; esac`);
    aptThatInstalls('ip', 'ping', 'iperf3');
    appendFileSync(
      join(place, 'bin/apt-get'),
      `/usr/sbin/policy-rc.d; echo "policy $?" >>${place}/home/calls.apt-get; echo 'babeld.service enabled enabled' >>${units}\n`,
    );
    const { status, output } = dev('demo');
    assert.equal(status, 0, output);
    assert.equal(calls('apt-get').at(-1), 'policy 101');
    assert.ok(!existsSync(join(place, 'sbin/policy-rc.d')));
    assert.deepEqual(
      calls('systemctl').filter((call) => call.includes('disable')),
      ['--root=/ --quiet disable babeld.service'],
    );
  });

  test('shows what apt said where it fails, and leaves nothing of its own behind', () => {
    program('apt-get', '[ "$1" = update ] || { echo "E: no room" >&2; exit 100; }');
    const { status, output } = dev('demo');
    assert.equal(status, 1);
    assert.match(output, /E: no room/);
    assert.ok(!existsSync(join(place, 'sbin/policy-rc.d')));
    assert.ok(!existsSync(join(checkout, 'node_modules')));
  });

  test('goes on where a release does not have a package that only tests use', () => {
    aptThatInstalls('ip', 'ping', 'iperf3');
    program('apt-cache', '[ "$2" != babeld ]');
    const { status, output } = dev('test', 'netns-tests/x.test.ts');
    assert.equal(status, 0, output);
    assert.match(output, /no package babeld here/);
    assert.doesNotMatch(calls('apt-get').join('\n'), /babeld/);
    assert.match(output, /skipped is what needs [\s\S]*babeld/);
  });
});

test('its list has every program that a story may name', () => {
  const listed = new Set(needs().map(([, what]) => what));
  for (const tool of tools) assert.ok(listed.has(tool), tool);
});

test('its list has each program once', () => {
  const programs = needs().map(([, what]) => what);
  assert.ok(programs.length > 30);
  assert.deepEqual(programs, [...new Set(programs)]);
});

test('no page and no other script repeats its list', () => {
  const packages = new Set(needs().map(([, , debian]) => debian!));
  for (const page of ['README.md', 'CONTRIBUTING.md', 'packaging/README.md', '.ci/run']) {
    for (const [line] of readFileSync(join(root, page), 'utf8').matchAll(/apt(?:-get)? .*install.*/g)) {
      for (const word of line.split(/\s+/)) assert.ok(!packages.has(word), `${page}: ${word}`);
    }
  }
});

/** The rows of the list in `dev`. */
function needs(): string[][] {
  const text = /^needs='\n([^']*)'/m.exec(readFileSync(join(root, 'dev'), 'utf8'))![1]!;
  return text
    .trim()
    .split('\n')
    .map((row) => row.split(/ +/));
}

/** Runs `./dev` on that machine. */
function dev(...args: readonly string[]) {
  return run(join(checkout, 'dev'), args, checkout);
}

function run(
  script: string,
  args: readonly string[],
  cwd: string,
): { status: number | null; output: string } {
  const inside = [
    '--mount',
    '--propagation',
    'private',
    'sh',
    '-c',
    'mount --bind "$0" /usr/sbin && exec "$@"',
  ];
  const [command, ...rest] =
    process.getuid?.() === 0
      ? ['unshare', ...inside, join(place, 'sbin'), script, ...args]
      : [script, ...args];
  const { status, stdout, stderr } = spawnSync(command!, rest, {
    cwd,
    env: { PATH: join(place, 'bin'), HOME: join(place, 'home') },
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { status, output: `${stderr}${stdout}` };
}

/** A program on that machine's PATH. It notes its arguments. */
function program(name: string, does = ':'): void {
  const path = join(place, 'bin', name);
  write(path, `#!/bin/sh\necho "$*" >>${place}/home/calls.${name}\n${does}\n`);
  chmodSync(path, 0o755);
}

function calls(name: string): string[] {
  const path = join(place, 'home', `calls.${name}`);
  return existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n') : [];
}

/** An apt-get that has these programs and talks a lot. */
function aptThatInstalls(...programs: readonly string[]): void {
  const links = programs.map((name) => `ln -sf cc ${place}/bin/${name}`).join('; ');
  program('apt-get', `[ "$1" = install ] || exit 0; echo 'dpkg: unpacking'; ${links}`);
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

function pathOf(name: string): string {
  const folders = (process.env.PATH ?? '').split(':').concat('/usr/bin', '/bin');
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path))!;
}

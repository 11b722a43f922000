import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';

const root = join(import.meta.dirname, '../..');

const names = ['cryonet.node', 'launch', 'service.node'];

/** The newest version of glibc that any of them may need: Debian 12, Ubuntu 22.04 and RHEL 9 have it. */
const newestGlibc = [2, 34];

test('a build', async (t) => {
  const { build, addons, launch } = copy(t);
  const results = [addons[0], launch, addons[1]];
  assert.deepEqual(build(), { status: 0, lines: [] });

  await t.test(
    'leaves two addons that load and a program that runs, and none needs a glibc newer than 2.34',
    () => {
      for (const addon of addons) assert.doesNotThrow(() => process.dlopen({ exports: {} }, addon));
      assert.match(spawnSync(launch, { encoding: 'utf8' }).stderr, /^usage: launch /);
      for (const result of results) needsOldGlibc(result);
    },
  );

  await t.test('is the same bytes in any folder and by any umask, and leaves nothing else there', (t) => {
    const elsewhere = copy(t);
    const out = join(elsewhere.folder, 'some/where');
    const before = process.umask(0o077);
    try {
      assert.deepEqual(elsewhere.build({}, '--out', out), { status: 0, lines: [] });
    } finally {
      process.umask(before);
    }
    assert.deepEqual(readdirSync(out).sort(), names);
    assert.deepEqual(
      names.map((name) => readFileSync(join(out, name))),
      results.map((result) => readFileSync(result)),
    );
  });
});

const foreign = { arch: 'arm64', compiler: 'aarch64-linux-gnu-gcc', machine: 183 };
const noCross = spawnSync(foreign.compiler, ['--version']).status !== 0 && 'needs aarch64-linux-gnu-gcc';

test('those of another processor are made by a cross compiler', { skip: noCross }, (t) => {
  const { folder, build } = copy(t);
  const out = join(folder, 'out');
  assert.deepEqual(build({ CC: '' }, '--arch', foreign.arch, '--out', out), { status: 0, lines: [] });
  for (const name of names) {
    // e_machine of the ELF header: EM_AARCH64.
    assert.equal(readFileSync(join(out, name)).readUInt16LE(18), foreign.machine);
    needsOldGlibc(join(out, name));
  }
});

test('an unknown processor is one line', (t) => {
  const { build } = copy(t);
  const reason = 'no compiler known for z80';
  assert.deepEqual(build({ CC: '' }, '--arch', 'z80'), {
    status: 1,
    lines: [`cryonet: the native addon was not built (${reason})`],
  });
});

test('an addon that lies beside the program is found there', (t) => {
  const { folder } = copy(t);
  const built = `dataplane/native/build/linux-${process.arch}/cryonet.node`;
  cpSync(join(root, built), join(folder, 'service/native/cryonet.node'));
  const { stdout } = run(`
    import { nativeTunsBy } from '${folder}/dataplane/io/native-tun.ts';
    console.log(nativeTunsBy('/dev/net/tun').route('127.0.0.1', 0).interface);`);
  assert.equal(stdout, 'lo\n');
});

test('an addon that cannot be loaded says why', (t) => {
  const { folder, addons } = copy(t);
  put(addons[1], 'no ELF');
  const script = `
    import { loadServiceAddon } from '${folder}/service/native.ts';
    try { loadServiceAddon(); } catch (error) { console.log(error.code, error.message); }`;
  const { stdout } = run(script);
  assert.match(
    stdout,
    /^addon_missing the native addon is not there: .* \(.*(file too short|invalid ELF header).*\)\n$/,
  );
});

test('without a compiler an installation goes on after one line, a build fails', (t) => {
  const { build, addons } = copy(t);
  const missing = 'cryonet: the native addon was not built (/nowhere/cc: no such compiler)';
  const optional = build({ CC: '/nowhere/cc' }, '--optional');
  assert.deepEqual(optional, {
    status: 0,
    lines: [`${missing}: no node can be started until \`npm run build\` succeeds`],
  });
  assert.deepEqual(build({ CC: '/nowhere/cc' }), { status: 1, lines: [missing] });
  assert(!addons.some((addon) => existsSync(addon)));
});

test('a compiler that fails leaves the addon of before in place', (t) => {
  const { build, addons } = copy(t);
  for (const addon of addons) put(addon, 'of before');
  assert.deepEqual(build({ CC: 'false' }), {
    status: 1,
    lines: ['cryonet: the native addon was not built (false failed (1))'],
  });
  for (const addon of addons) assert.equal(readFileSync(addon, 'utf8'), 'of before');
});

test('without the addon everything can be imported, and only opening a device fails', (t) => {
  const { folder } = copy(t);
  const { stdout } = run(`
    import { nativeTunsBy } from '${folder}/dataplane/io/native-tun.ts';
    console.log(nativeTunsBy('/dev/net/tun').route('127.0.0.1', 0));
    try { nativeTunsBy('/dev/net/tun').open({ name: '' }, () => {}); } catch (error) { console.log(error.code, error.message); }`);
  const message = 'the native addon is not there: run `npm run build` (needs a C compiler)';
  assert.equal(stdout, `undefined\naddon_missing ${message}\n`);
});

function put(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

function run(script: string) {
  return spawnSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' });
}

function needsOldGlibc(result: string): void {
  const { stdout } = spawnSync('objdump', ['-T', result], { encoding: 'utf8' });
  const versions = [...stdout.matchAll(/GLIBC_(\d+)\.(\d+)/g)].map(([, major, minor]) => [
    Number(major),
    Number(minor),
  ]);
  assert(versions.length > 0, result);
  for (const [major = 0, minor = 0] of versions) {
    assert(major === newestGlibc[0] && minor <= newestGlibc[1]!, `${result} needs glibc ${major}.${minor}`);
  }
}

/** The addons' sources and wrappers in a folder of their own, with nothing built. */
function copy(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'cryonet-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'dataplane/native'), { recursive: true });
  for (const part of [
    'package.json',
    'protocol',
    'dataplane/io',
    'dataplane/native/src',
    'dataplane/native/build.mjs',
    'service',
  ]) {
    cpSync(join(root, part), join(folder, part), {
      recursive: true,
      filter: (path) => basename(path) !== 'build',
    });
  }
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  const addons = [
    join(folder, `dataplane/native/build/linux-${process.arch}/cryonet.node`),
    join(folder, `service/native/build/linux-${process.arch}/service.node`),
  ] as const;
  const build = (environment: NodeJS.ProcessEnv = {}, ...flags: string[]) => {
    const { status, stderr } = spawnSync(
      process.execPath,
      [join(folder, 'dataplane/native/build.mjs'), ...flags],
      {
        encoding: 'utf8',
        env: { ...process.env, ...environment },
      },
    );
    return { status, lines: stderr.split('\n').filter((line) => line !== '') };
  };
  const launch = join(folder, `service/launch/build/linux-${process.arch}/launch`);
  return { folder, addons, launch, build };
}

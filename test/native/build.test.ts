import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';

const root = join(import.meta.dirname, '../..');

/** The newest version of glibc that the addon may need: Debian 12, Ubuntu 22.04 and RHEL 9 have it. */
const newestGlibc = [2, 34];

test('the build leaves an addon that loads and needs no glibc newer than 2.34', (t) => {
  const { build, addon } = copy(t);
  assert.deepEqual(build(), { status: 0, lines: [] });
  assert.doesNotThrow(() => process.dlopen({ exports: {} }, addon));
  const { stdout } = spawnSync('objdump', ['-T', addon], { encoding: 'utf8' });
  const versions = [...stdout.matchAll(/GLIBC_(\d+)\.(\d+)/g)].map(([, major, minor]) => [
    Number(major),
    Number(minor),
  ]);
  assert(versions.length > 0);
  for (const [major = 0, minor = 0] of versions) {
    assert(major === newestGlibc[0] && minor <= newestGlibc[1]!, `needs glibc ${major}.${minor}`);
  }
});

test('without a compiler an installation goes on after one line, a build fails', (t) => {
  const { build, addon } = copy(t);
  const missing = 'cryonet: the native addon was not built (/nowhere/cc: no such compiler)';
  const optional = build({ CC: '/nowhere/cc' }, '--optional');
  assert.deepEqual(optional, {
    status: 0,
    lines: [`${missing}: TUN devices cannot be opened until \`npm run build\` succeeds`],
  });
  assert.deepEqual(build({ CC: '/nowhere/cc' }), { status: 1, lines: [missing] });
  assert(!existsSync(addon));
});

test('a compiler that fails leaves the addon of before in place', (t) => {
  const { build, addon } = copy(t);
  build();
  assert.deepEqual(build({ CC: 'false' }), {
    status: 1,
    lines: ['cryonet: the native addon was not built (false failed (1))'],
  });
  assert(existsSync(addon));
});

test('without the addon everything can be imported, and only opening a device fails', (t) => {
  const { folder } = copy(t);
  const script = `
    import { nativeTunFactory } from '${folder}/dataplane/io/native-tun.ts';
    console.log(nativeTunFactory.routeInterface('127.0.0.1'));
    try { nativeTunFactory.open({ name: '' }, () => {}); } catch (error) { console.log(error.code, error.message); }`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
  });
  const message = 'the native addon is not there: run `npm run build` (needs a C compiler)';
  assert.equal(stdout, `undefined\naddon_missing ${message}\n`);
});

/** The addon's sources and wrapper in a folder of their own, with nothing built. */
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
  ]) {
    cpSync(join(root, part), join(folder, part), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  const addon = join(folder, `dataplane/native/build/linux-${process.arch}/cryonet.node`);
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
  return { folder, addon, build };
}

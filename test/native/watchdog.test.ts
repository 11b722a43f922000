import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

const addon = join(import.meta.dirname, '../../dataplane/io/native.ts');

/** Runs a script with the addon as `addon`; a core file would only lie about. */
function run(script: string) {
  const source = `import { loadAddon } from ${JSON.stringify(addon)}; const addon = loadAddon(); ${script}`;
  const command = ['ulimit -c 0; exec "$@"', 'sh', process.execPath, '--input-type=module', '--eval', source];
  return spawnSync('sh', ['-c', ...command], { encoding: 'utf8', timeout: 30_000 });
}

const block = (milliseconds: string) =>
  `Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${milliseconds});`;

test('a process whose event loop hangs ends itself, and says so', () => {
  const { signal, stderr } = run(`addon.watch(1); ${block('20_000')}`);
  assert.equal(signal, 'SIGABRT');
  assert.equal(stderr, 'cryonet-dataplane: hangs for 1 s: it ends itself\n');
});

test('one that only pauses goes on, and ends in the ordinary way', () => {
  const pauses = `for (let i = 0; i < 4; i++) { ${block('1200')} addon.beat(); }`;
  const { status, signal, stderr } = run(`addon.watch(4); ${pauses} console.log('done');`);
  assert.deepEqual([status, signal, stderr], [0, null, '']);
});

test('there is one watchdog', () => {
  const { stdout } = run(`addon.watch(9); try { addon.watch(9) } catch (e) { console.log(e.code) }`);
  assert.equal(stdout, 'EALREADY\n');
});

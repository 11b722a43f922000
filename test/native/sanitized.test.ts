/** Every test of the addon against the kernel once more, with AddressSanitizer and UndefinedBehaviorSanitizer. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { before } from 'node:test';
import { inNamespace } from './namespace.ts';

const root = join(import.meta.dirname, '../..');
const compiler = process.env.CC || 'cc';
const library = spawnSync(compiler, ['-print-file-name=libasan.so'], { encoding: 'utf8' }).stdout.trim();

before(() => {
  const build = [join(root, 'dataplane/native/build.mjs'), '--sanitize'];
  const { status, stderr } = spawnSync(process.execPath, build, { encoding: 'utf8', timeout: 500_000 });
  assert.equal(status, 0, stderr);
});

const environment = {
  CRYONET_ADDON: 'sanitize',
  // Node is not built with the sanitizer: its library has to come first, and what Node leaves at exit is no leak of ours.
  LD_PRELOAD: library,
  ASAN_OPTIONS: 'detect_leaks=0:quarantine_size_mb=16',
};

for (const [file, what] of [
  ['tun', 'TUN devices'],
  ['direct-conformance', 'direct paths'],
] as const)
  inNamespace(join(root, `netns-tests/${file}.test.ts`), `${what} with sanitizers`, environment);

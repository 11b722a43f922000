import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { compile, nativeSources } from './compile.ts';

const sources = ['checksum-check.c', join(nativeSources, 'checksum.c')];

test('sums agree with RFC 1071 at every length and alignment', () => {
  const program = compile('checksum-check', sources, [
    '-fsanitize=address,undefined',
    '-fno-sanitize-recover=all',
  ]);
  const { status, signal, stdout, stderr } = spawnSync(program, { encoding: 'utf8', timeout: 30_000 });
  assert.deepEqual([status, signal, stderr], [0, null, '']);
  assert.equal(stdout, '6220 sums\n');
});

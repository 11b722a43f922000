import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { compile, nativeSources } from './compile.ts';

test('a thread looks again before it sleeps where it was woken soon the last time, and only there', () => {
  const program = compile(
    'busy-poll-waits',
    ['busy-poll-waits.c', join(nativeSources, 'busy_poll.c')],
    ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'],
  );
  const { status, signal, stdout, stderr } = spawnSync(program, { encoding: 'utf8', timeout: 30_000 });
  assert.deepEqual([status, signal, stdout, stderr], [0, null, 'as expected\n', '']);
});

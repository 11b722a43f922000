import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { compile, nativeSources } from './compile.ts';

const sources = ['poller', 'busy_poll', 'ring', 'thread', 'segment', 'checksum'].map((name) =>
  join(nativeSources, `${name}.c`),
);

/** With detection of leaks: there is no Node here to be blamed. */
const sanitizers = ['thread', 'address,undefined'];

for (const sanitizer of sanitizers) {
  test(`the reader thread loses, mixes and alters no packet (-fsanitize=${sanitizer})`, () => {
    const flags = [`-fsanitize=${sanitizer}`, '-fno-sanitize-recover=all'];
    const program = compile('poller-stress', ['poller-stress.c', ...sources], flags);
    const { status, signal, stdout, stderr } = spawnSync(program, { encoding: 'utf8', timeout: 180_000 });
    assert.deepEqual([status, signal, stderr], [0, null, '']);
    assert.equal(stdout, '6000 packets of each of 5 devices\n');
  });
}

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { compile, nativeSources } from './compile.ts';
import { fuzz, noFuzzer } from './fuzz.ts';

const sources = ['ecn', 'checksum'].map((name) => join(nativeSources, `${name}.c`));

test('marks come inside as RFC 6040 has it, whatever the packet, and its IPv4 checksum stays right', () => {
  const flags = ['-O2', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
  const program = compile('ecn-table', ['ecn-table.c', ...sources], flags);
  const { status, stdout, stderr } = spawnSync(program, { encoding: 'utf8', timeout: 180_000 });
  assert.deepEqual([status, stdout, stderr], [0, 'every mark as in the table\n', '']);
});

test('no packet and no mark change more than two bits and a checksum', { skip: noFuzzer }, () => {
  fuzz('ecn-fuzz', sources, { executions: 1_000_000, maxLength: 64 });
});

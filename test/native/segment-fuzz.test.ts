import { join } from 'node:path';
import { test } from 'node:test';
import { nativeSources } from './compile.ts';
import { fuzz, noFuzzer } from './fuzz.ts';

test('arbitrary bytes are cut or refused, and nothing beyond them is touched', { skip: noFuzzer }, () => {
  const sources = ['segment.c', 'checksum.c'].map((name) => join(nativeSources, name));
  fuzz('segment-fuzz', sources, { executions: 500_000, maxLength: 400 });
});

import { join } from 'node:path';
import { test } from 'node:test';
import { nativeSources } from './compile.ts';
import { fuzz, noFuzzer } from './fuzz.ts';

test('no bytes crash the opening of a record, and only what was sealed opens', { skip: noFuzzer }, () => {
  const sources = [join(nativeSources, 'record.c')];
  fuzz('record-fuzz', sources, { executions: 1_000_000, flags: ['-lcrypto'], maxLength: 2048 });
});

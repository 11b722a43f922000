import { join } from 'node:path';
import { test } from 'node:test';
import { nativeSources } from './compile.ts';
import { fuzz, noFuzzer } from './fuzz.ts';

const sources = ['coalesce', 'segment', 'checksum'].map((name) => join(nativeSources, `${name}.c`));

test('no packets are joined to what is not cut into them again', { skip: noFuzzer }, () => {
  fuzz('coalesce-fuzz', sources, { executions: 500_000, maxLength: 96 });
});

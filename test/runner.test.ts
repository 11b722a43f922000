import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from './socket-pair.ts';

const runner = join(import.meta.dirname, 'runner.ts');

test('a run says what was skipped, the files that took longest with the slowest of each, and how many', (t) => {
  const folder = temporaryFolder(t);
  const file = (name: string, text: string) => {
    const path = join(folder, 'test', `${name}.test.mjs`);
    writeFileSync(
      path,
      `import { setTimeout } from 'node:timers/promises';\nimport { test } from 'node:test';\n${text}`,
    );
    return path;
  };
  mkdirSync(join(folder, 'test'));
  const quick = Array.from({ length: 9 }, (_, n) => file(`quick${n}`, "test('quick', () => {});"));
  const files = [
    ...quick,
    file('slow', "test('a little', () => setTimeout(300)); test('most', () => setTimeout(700));"),
    file(
      'mixed',
      "test('left out', { skip: 'no such thing' }); test('fails', () => { throw new Error('so'); });",
    ),
  ];
  const script = join(folder, 'run.mjs');
  writeFileSync(
    script,
    `
    import { Runner } from ${JSON.stringify(runner)};
    const runner = new Runner(${JSON.stringify(folder)});
    const [first, ...rest] = ${JSON.stringify(files)};
    const aside = runner.run([first], { concurrency: 1, aside: true });
    await runner.run(rest, { concurrency: 4 });
    await aside;
    runner.end();`,
  );
  const { NODE_TEST_CONTEXT: _, CI: __, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], {
    env,
    encoding: 'utf8',
  });
  assert.equal(status, 1, stderr);
  assert.match(stderr, /^skipped: left out: no such thing$/m);
  const lines = stdout.trimEnd().split('\n').slice(-11);
  assert.match(lines[0]!, /^\d\.\d s test\/slow\.test\.mjs: 0\.\d s most$/);
  assert.equal(lines.slice(0, 10).filter((line) => /^\d\.\d s test\/\w+\.test\.mjs: /.test(line)).length, 10);
  assert.equal(lines[10], '11 passed, 1 failed, 1 skipped');
});

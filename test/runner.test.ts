import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { temporaryFolder } from './socket-pair.ts';

const runner = join(import.meta.dirname, 'runner.ts');

test('a run says what was skipped, the files that took longest with the slowest of each, and how many', (t) => {
  const { file, runs } = project(t);
  const quick = Array.from({ length: 9 }, (_, n) => file(`quick${n}`, "test('quick', () => {});"));
  const first = file('slow', "test('a little', () => setTimeout(300)); test('most', () => setTimeout(700));");
  const mixed = file(
    'mixed',
    "test('left out', { skip: 'no such thing' }); test('fails', () => { throw new Error('so'); });",
  );
  const { status, stdout, stderr } = runs(`
    const aside = runner.run(${JSON.stringify([first])}, { concurrency: 1, aside: true });
    await runner.run(${JSON.stringify([...quick, mixed])}, { concurrency: 4 });
    await aside;`);
  assert.equal(status, 1, stderr);
  assert.match(stderr, /^skipped: left out: no such thing$/m);
  const lines = stdout.trimEnd().split('\n').slice(-21);
  assert.match(lines[0]!, /^\d\.\d s test\/slow\.test\.mjs: 0\.\d s most$/);
  assert.equal(lines.slice(0, 10).filter((line) => /^\d\.\d s test\/\w+\.test\.mjs: /.test(line)).length, 10);
  assert.equal(lines.slice(10, 20).filter((line) => busy.test(line)).length, 10);
  assert.equal(lines[20], '11 passed, 1 failed, 1 skipped');
});

test('a run says which files kept processors busiest, by themselves or by what they started', (t) => {
  const { file, runs } = project(t);
  const computing = (milliseconds: number) => `while (performance.now() < ${milliseconds});`;
  const files = [
    file('waits', "test('waits', () => setTimeout(600));"),
    file('computes', `test('computes', () => { ${computing(2000)} });`),
    file(
      'starts',
      `import { execFileSync } from 'node:child_process';
       test('starts', () => { execFileSync(process.execPath, ['-e', ${JSON.stringify(computing(700))}]); });`,
    ),
  ];
  const { stdout } = runs(`await runner.run(${JSON.stringify(files)}, { concurrency: 1 });`);
  const names = [...stdout.matchAll(new RegExp(busy, 'gm'))].map(([, name]) => name);
  assert.deepEqual(names, ['computes', 'starts', 'waits'], stdout);
});

const busy = /^\d\.\d s of a processor test\/(\w+)\.test\.mjs$/;

test('a file that yields has a lower priority, and so has what it starts', (t) => {
  const { file, runs } = project(t);
  const priority = file(
    'priority',
    `import { spawnSync } from 'node:child_process';
     import { getPriority } from 'node:os';
     const child = spawnSync(process.execPath, ['-p', 'os.getPriority()'], { encoding: 'utf8' });
     test('at ' + getPriority() + ' and ' + child.stdout.trim(), () => {});`,
  );
  const { stdout } = runs(`
    for (const yielding of [false, true])
      await runner.run(${JSON.stringify([priority])}, { concurrency: 1, yielding });`);
  const [usual, low] = [...stdout.matchAll(/^✔ at (-?\d+) and (-?\d+) /gm)].map((each) =>
    each.slice(1).map(Number),
  );
  assert.ok(usual !== undefined && low !== undefined, stdout);
  assert.equal(usual[0], usual[1]);
  assert.deepEqual(low, [19, 19]);
});

/** A project in a folder of its own. */
function project(context: TestContext) {
  const folder = temporaryFolder(context);
  mkdirSync(join(folder, 'test'));
  /** Path of a test file with this text. */
  const file = (name: string, text: string): string => {
    const path = join(folder, 'test', `${name}.test.mjs`);
    const imports = "import { setTimeout } from 'node:timers/promises';\nimport { test } from 'node:test';\n";
    writeFileSync(path, `${imports}${text}`);
    return path;
  };
  /** Runs a script that has a runner. */
  const runs = (script: string) => {
    const path = join(folder, 'run.mjs');
    const lines = [
      `import { Runner } from ${JSON.stringify(runner)};`,
      `const runner = new Runner(${JSON.stringify(folder)});`,
      script,
      'runner.end();',
    ];
    writeFileSync(path, lines.join('\n'));
    const { NODE_TEST_CONTEXT: _, CI: __, ...env } = process.env;
    return spawnSync(process.execPath, [path], { env, encoding: 'utf8' });
  };
  return { file, runs };
}

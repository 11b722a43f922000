import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { closureOf, importsOf, read, sourceFiles, withoutComments } from './source.ts';

const product = [
  'control/**/*.ts',
  'dataplane/**/*.ts',
  'service/**/*.ts',
  'protocol/**/*.ts',
  'cli/**/*.ts',
];
const everything = [...product, 'test/**/*.ts', 'netns-tests/**/*.ts', 'bench/**/*.ts'];
const codeLines = 400;

/** Each import of these files that `forbidden` finds fault with, as `file imports what`. */
function offences(
  patterns: readonly string[],
  forbidden: (target: string, file: string) => boolean,
): string[] {
  return sourceFiles(...patterns).flatMap((file) =>
    importsOf(file)
      .filter((target) => forbidden(target, file))
      .map((target) => `${file} imports ${target}`),
  );
}

/** Each place where `pattern` is found in code, as `file:line what`. */
function findings(files: readonly string[], pattern: RegExp, text = withoutComments): string[] {
  return files.flatMap((file) =>
    text(read(file))
      .split('\n')
      .flatMap((line, i) => (pattern.test(line) ? [`${file}:${i + 1} ${line.trim()}`] : [])),
  );
}

const isPackage = (target: string) =>
  !target.includes('/') || /^(node:|@|hono\/|zod\/|node-datachannel\/)/.test(target);

test('the files are found, and their imports too', () => {
  const files = sourceFiles(...product);
  assert.ok(files.length > 50, `${files.length} files`);
  assert.ok(importsOf('control/shell.ts').includes('control/core/mesh.ts'));
  assert.ok(importsOf('control/core/mesh.ts').includes('protocol/signaling.ts'));
  assert.ok(importsOf('dataplane/main.ts').includes('node:net'));
  assert.ok(
    importsOf('dataplane/main.ts').includes('dataplane/io/engine/werift.ts'),
    'a dynamic import counts',
  );
});

test('control and dataplane never import each other', () => {
  assert.deepEqual(
    offences(['control/**/*.ts'], (target) => target.startsWith('dataplane/')),
    [],
  );
  assert.deepEqual(
    offences(['dataplane/**/*.ts'], (target) => target.startsWith('control/')),
    [],
  );
});

test('protocol imports nothing of the others; cryoc nothing but protocol, and in local/ the edge of control', () => {
  const outside = (target: string, ...inside: readonly string[]) =>
    !isPackage(target) && !inside.some((folder) => target.startsWith(folder));
  assert.deepEqual(
    offences(['protocol/**/*.ts'], (target) => outside(target, 'protocol/')),
    [],
  );
  const edge = ['control/config/', 'control/io/'];
  assert.deepEqual(
    offences(['cli/**/*.ts'], (target, file) =>
      outside(target, 'protocol/', 'cli/', ...(file.startsWith('cli/local/') ? edge : [])),
    ),
    [],
  );
});

for (const folder of ['local', 'top']) {
  test(`cryoc loads what is in its ${folder}/ only for the commands that need it`, () => {
    const statically = new RegExp(`^import[^(]*?from\\s*['"][^'"]*\\/${folder}\\/`, 'm');
    const others = sourceFiles('cli/**/*.ts').filter((file) => !file.startsWith(`cli/${folder}/`));
    assert.ok(others.some((file) => importsOf(file).some((target) => target.startsWith(`cli/${folder}/`))));
    assert.deepEqual(
      others.filter((file) => statically.test(withoutComments(read(file)))),
      [],
    );
  });
}

test('what cryoc top knows and draws asks nobody: no clock, no terminal, no socket', () => {
  for (const file of ['cli/top/model.ts', 'cli/top/frame.ts']) {
    const reached = [...closureOf(file)];
    assert.deepEqual(
      reached.filter((target) => target.startsWith('node:') || /shell|screen|client/.test(target)),
      [],
      file,
    );
    const own = reached.filter((target) => target.startsWith('cli/top/'));
    assert.deepEqual(
      findings(own, /\b(Date\.now|new Date|performance|process|setTimeout|async|Promise)\b/),
      [],
    );
  }
});

test('service imports nothing but protocol and Node; only mains and io use it', () => {
  assert.deepEqual(
    offences(
      ['service/**/*.ts'],
      (target) =>
        !target.startsWith('service/') && !target.startsWith('protocol/') && !target.startsWith('node:'),
    ),
    [],
  );
  const user = /^(service\/|(control|dataplane)\/(main\.ts|io\/))/;
  assert.deepEqual(
    offences(product, (target, file) => target.startsWith('service/') && !user.test(file)),
    [],
  );
  assert.ok(importsOf('control/main.ts').includes('service/notify.ts'));
});

test('the product never imports from its tests', () => {
  assert.deepEqual(
    offences(product, (target) => /^(test|netns-tests|bench)\//.test(target)),
    [],
  );
});

test('core imports only core and protocol, types included', () => {
  for (const side of ['control', 'dataplane']) {
    const own = (target: string) => target.startsWith(`${side}/core/`) || target.startsWith('protocol/');
    assert.deepEqual(
      offences([`${side}/core/*.ts`], (target) => !own(target)),
      [],
    );
  }
});

test('no core reaches the operating system, not through protocol either', () => {
  for (const file of sourceFiles('*/core/*.ts')) {
    const reached = [...closureOf(file)].filter((target) => target.startsWith('node:'));
    assert.deepEqual(reached, [], `${file} reaches ${reached.join(', ')}`);
  }
});

test('core has no clock, no randomness, no promises and no output', () => {
  const impure =
    /\b(Date\.now|new Date|Math\.random|performance|process|setTimeout|setInterval|setImmediate|queueMicrotask|async|await|Promise|console|fetch|crypto|Buffer|globalThis)\b/;
  assert.deepEqual(findings(sourceFiles('*/core/*.ts'), impure), []);
});

test('io uses of core only pure functions that need nothing else of it, never the reducer', () => {
  const isLeaf = (file: string) => !importsOf(file).some((target) => target.includes('/core/'));
  const reducer = (target: string) => target.includes('/core/') && !isLeaf(target);
  assert.deepEqual(offences(['control/io/**/*.ts', 'dataplane/io/**/*.ts'], reducer), []);
  assert.deepEqual(
    offences(
      ['*/io/**/*.ts'],
      (target) => /(shell|main|options|status)\.ts$/.test(target) && !target.startsWith('protocol/'),
    ),
    [],
  );
});

test('only a shell and a main see both core and io', () => {
  for (const file of sourceFiles('control/*.ts', 'dataplane/*.ts')) {
    const targets = importsOf(file);
    const both =
      targets.some((target) => target.includes('/core/')) &&
      targets.some((target) => target.includes('/io/'));
    if (both) assert.match(file, /^(control|dataplane)\/((\w+-)?shell|main)\.ts$/);
  }
});

test('a heavy engine is loaded only when it is used', () => {
  const statically = (file: string) =>
    /^import[^(]*?from\s*['"](werift|node-datachannel|.*\/(werift|node-datachannel)\.ts)['"]/m.test(
      withoutComments(read(file)),
    );
  const loaders = sourceFiles('dataplane/**/*.ts').filter(statically);
  for (const file of loaders) assert.match(file, /^dataplane\/io\/engine\//);
});

test('control starts without the HTTP client that Node has inside', () => {
  const loads = `await import('./control/shell.ts'); console.log(process.moduleLoadList.join('\\n'));`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', loads], {
    encoding: 'utf8',
  });
  assert.match(stdout, /^NativeModule http$/m);
  assert.doesNotMatch(stdout, /undici/);
});

test(`no file has more than ${codeLines} lines of code`, () => {
  const long = sourceFiles(...everything).flatMap((file) => {
    const lines = withoutComments(read(file))
      .split('\n')
      .filter((line) => line.trim() !== '').length;
    return lines > codeLines ? [`${file}: ${lines}`] : [];
  });
  assert.deepEqual(long, []);
});

test('TypeScript that can be erased: no enums, namespaces or parameter properties', () => {
  const files = sourceFiles(...everything);
  assert.deepEqual(findings(files, /^\s*(export\s+)?(declare\s+)?(const\s+)?(enum|namespace)\s+\w+/), []);
  const parameterProperty = /constructor\s*\((?:[^)]*,)?\s*(public|private|protected|readonly)\s+\w+\s*[:?]/;
  assert.deepEqual(
    files.filter((file) => parameterProperty.test(withoutComments(read(file)))),
    [],
  );
});

test('named exports only, no barrels', () => {
  const files = sourceFiles(...everything);
  assert.deepEqual(findings(files, /^\s*export\s+(default\b|\*)/), []);
});

test('nothing is printed past the log', () => {
  assert.deepEqual(findings(sourceFiles(...product), /\bconsole\s*\./), []);
});

test('nothing is left to do in a comment', () => {
  const marker = /(\/\/|\*|#)\s*(TODO|FIXME|XXX|HACK)\b/;
  const native = sourceFiles('{dataplane,service}/native/**/*.{c,h,mjs}', 'test/**/*.c', 'bench/**/*.c');
  assert.deepEqual(
    findings([...sourceFiles(...everything), ...native], marker, (text) => text),
    [],
  );
});

test('every test runs, unless it says why not', () => {
  const tests = sourceFiles('test/**/*.ts', 'netns-tests/**/*.ts').filter(
    (file) => file !== 'test/architecture.test.ts',
  );
  assert.deepEqual(findings(tests, /\b(test|it|describe|suite)\.(skip|only|todo)\b/), []);
  assert.deepEqual(findings(tests, /\b(skip|only|todo)\s*:\s*true\b/), []);
  assert.deepEqual(findings(tests, /\b(t|context)\.(skip|todo)\(\s*\)/), []);
});

test('every error code of the table is used', () => {
  const table = /errorCodes = \{([\s\S]*?)\} as const/.exec(read('protocol/errors.ts'))![1]!;
  const codes = [...table.matchAll(/^\s*([a-z_]+):/gm)].map(([, code]) => code!);
  assert.ok(codes.length > 15);
  const text = sourceFiles(...product)
    .map((file) => withoutComments(read(file)))
    .join('\n');
  assert.deepEqual(
    codes.filter((code) => !text.includes(`'${code}'`)),
    [],
  );
});

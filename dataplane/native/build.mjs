/**
 * Compiles what is native with the C compiler alone: the addons `cryonet.node`, the dataplane's, and `service.node`, what
 * both processes need of the kernel; and `launch`, the program that starts them.
 * `node build.mjs [--optional] [--sanitize] [--arch x64|arm64] [--out DIR]`.
 *
 * --optional: the root package's install script. Without a compiler it prints one line and exits 0: `cryoc` and the
 *             tests of what is not native work.
 * --sanitize: the same once more with AddressSanitizer and UndefinedBehaviorSanitizer, for the tests.
 * --arch:     for another processor than this one, by a cross compiler.
 * --out:      puts all of it there, in place of the checkout's build folders.
 *
 * CC names another compiler. The results are the same bytes wherever the sources lie. Each is renamed into place, so
 * that a process that has the old one mapped, or another build at the same time, is not disturbed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const crossCompilers = { x64: 'x86_64-linux-gnu-gcc', arm64: 'aarch64-linux-gnu-gcc' };

const { values: options } = parseArgs({
  options: {
    optional: { type: 'boolean', default: false },
    sanitize: { type: 'boolean', default: false },
    arch: { type: 'string', default: process.arch },
    out: { type: 'string' },
  },
});
const { optional, sanitize, arch } = options;

const native = dirname(fileURLToPath(import.meta.url));
const root = join(native, '../..');
const compiler = process.env.CC || (arch === process.arch ? 'cc' : crossCompilers[arch]);

const addon = ['-fPIC', '-shared', '-fvisibility=hidden'];
const executable = ['-fPIE', '-pie'];

/** `sources`: the folder that the compiler runs in; `shared`: further sources, as seen from there. */
const targets = [
  {
    name: 'cryonet.node',
    kind: addon,
    sources: join(native, 'src'),
    results: join(native, 'build'),
    shared: [],
  },
  {
    name: 'service.node',
    kind: addon,
    sources: join(root, 'service/native'),
    results: join(root, 'service/native/build'),
    shared: ['../../dataplane/native/src/binding.c'],
  },
  {
    name: 'launch',
    kind: executable,
    sources: join(root, 'service/launch'),
    results: join(root, 'service/launch/build'),
    shared: ['../native/conceal.c', '../native/marked.c'],
  },
];

/** The folder with node_api.h and OpenSSL's headers: what comes with a Node, whichever is installed. The headers are
 *  the same for every processor. */
function findHeaders() {
  const { resolve: locate } = createRequire(import.meta.url);
  const folders = [];
  for (const each of new Set([process.arch, ...Object.keys(crossCompilers)])) {
    try {
      folders.push(join(dirname(locate(`node-linux-${each}/package.json`)), 'include/node'));
    } catch {}
  }
  folders.push(join(dirname(process.execPath), '..', 'include', 'node'));
  return folders.find((folder) =>
    ['node_api.h', 'openssl/evp.h'].every((name) => existsSync(join(folder, name))),
  );
}

const hardened = [
  '-O2',
  '-D_FORTIFY_SOURCE=2',
  '-fstack-protector-strong',
  '-Wl,-z,relro,-z,now',
  '-Wl,--build-id=sha1',
  '-s',
];
const sanitized = [
  '-O1',
  '-g',
  '-fsanitize=address,undefined',
  '-fno-sanitize-recover=undefined',
  '-fno-omit-frame-pointer',
];

/** Returns why it was not built, in one line, or undefined. */
function build({ name, kind, sources, results, shared }, headers) {
  const target = options.out
    ? resolve(options.out)
    : join(results, `linux-${arch}${sanitize ? '-sanitize' : ''}`);
  mkdirSync(target, { recursive: true });
  const output = join(target, `.${name}-${process.pid}`);
  const files = readdirSync(sources)
    .filter((file) => file.endsWith('.c'))
    .sort();
  const flags = [
    ...['-std=c17', '-D_GNU_SOURCE', '-pthread', ...kind],
    ...['-Wall', '-Wextra', `-ffile-prefix-map=${root}=.`],
    // A warning that a newer compiler invents must not take the addon from who only installs.
    ...(optional ? [] : ['-Werror']),
    ...(sanitize ? sanitized : hardened),
    ...['-isystem', headers, ...shared.map((file) => `-I${dirname(file)}`), '-o', output],
  ];
  const { error, status, signal, stderr } = spawnSync(compiler, [...flags, ...files, ...shared], {
    cwd: sources,
    encoding: 'utf8',
  });
  if (error !== undefined)
    return `${compiler}: ${error.code === 'ENOENT' ? 'no such compiler' : error.message}`;
  if (status === 0) {
    renameSync(output, join(target, name));
    return undefined;
  }
  rmSync(output, { force: true });
  if (!optional) process.stderr.write(stderr);
  const first = stderr.split('\n').find((line) => line.includes('error')) ?? '';
  return `${compiler} failed (${signal ?? status}) ${first}`.trim();
}

/** The same for all of them: the first reason. */
function buildAll() {
  if (process.platform !== 'linux') return 'only for Linux';
  if (compiler === undefined) return `no compiler known for ${arch}`;
  const headers = findHeaders();
  if (headers === undefined) return 'the headers of Node are not there';
  for (const target of targets) {
    const reason = build(target, headers);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

const reason = buildAll();
if (reason !== undefined) {
  const consequence = optional ? ': no node can be started until `npm run build` succeeds' : '';
  console.error(`cryonet: the native addon was not built (${reason})${consequence}`);
  process.exit(optional ? 0 : 1);
}

/**
 * Compiles the addon with the C compiler alone: `node build.mjs [--optional] [--sanitize]`.
 *
 * --optional: the root package's install script. Without a compiler it prints one line and exits 0: everything but
 *             the opening of a TUN device works without the addon.
 * --sanitize: a second addon with AddressSanitizer and UndefinedBehaviorSanitizer, for the tests.
 *
 * CC names another compiler. The result is renamed into place, so that a process that has the old one mapped, or
 * another build at the same time, is not disturbed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const optional = process.argv.includes('--optional');
const sanitize = process.argv.includes('--sanitize');

const native = dirname(fileURLToPath(import.meta.url));
const sources = join(native, 'src');
const target = join(native, 'build', `linux-${process.arch}${sanitize ? '-sanitize' : ''}`);
const compiler = process.env.CC || 'cc';

/** The folder with node_api.h and OpenSSL's headers: what comes with a Node, the one that is installed last. */
function findHeaders() {
  const { resolve } = createRequire(import.meta.url);
  const folders = [];
  try {
    folders.push(join(dirname(resolve(`node-linux-${process.arch}/package.json`)), 'include/node'));
  } catch {}
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

/** Returns why there is no addon, in one line, or undefined. */
function build() {
  const headers = findHeaders();
  if (headers === undefined) return 'the headers of Node are not there';
  mkdirSync(target, { recursive: true });
  const output = join(target, `.cryonet-${process.pid}.node`);
  const files = readdirSync(sources)
    .filter((name) => name.endsWith('.c'))
    .sort();
  const flags = [
    ...['-std=c17', '-D_GNU_SOURCE', '-fPIC', '-shared', '-pthread', '-fvisibility=hidden'],
    ...['-Wall', '-Wextra'],
    // A warning that a newer compiler invents must not take the addon from who only installs.
    ...(optional ? [] : ['-Werror']),
    ...(sanitize ? sanitized : hardened),
    ...['-isystem', headers, '-o', output],
  ];
  const { error, status, signal, stderr } = spawnSync(compiler, [...flags, ...files], {
    cwd: sources,
    encoding: 'utf8',
  });
  if (error !== undefined)
    return `${compiler}: ${error.code === 'ENOENT' ? 'no such compiler' : error.message}`;
  if (status === 0) {
    renameSync(output, join(target, 'cryonet.node'));
    return undefined;
  }
  rmSync(output, { force: true });
  if (!optional) process.stderr.write(stderr);
  const first = stderr.split('\n').find((line) => line.includes('error')) ?? '';
  return `${compiler} failed (${signal ?? status}) ${first}`.trim();
}

const reason = process.platform === 'linux' ? build() : 'only for Linux';
if (reason !== undefined) {
  const consequence = optional ? ': TUN devices cannot be opened until `npm run build` succeeds' : '';
  console.error(`cryonet: the native addon was not built (${reason})${consequence}`);
  process.exit(optional ? 0 : 1);
}

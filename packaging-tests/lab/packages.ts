/**
 * The packages that the stories install, built once for all of them:
 *
 *   first     of the checkout, both architectures
 *   next      the same programs under the next version
 *   changed   the version after that, of a dataplane that is another one
 */
import { globSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { Lab } from '../../netns-tests/lab/lab.ts';
import { shell } from '../../netns-tests/lab/shell.ts';

export const editions = ['first', 'next', 'changed'] as const;
export type Edition = (typeof editions)[number];
export type Format = 'deb' | 'rpm';
export const architectures = ['x64', 'arm64'] as const;
export type Architecture = (typeof architectures)[number];

const checkout = resolve(import.meta.dirname, '../..');

/** What dpkg and rpm call an architecture. */
const names = {
  deb: { x64: 'amd64', arm64: 'arm64' },
  rpm: { x64: 'x86_64', arm64: 'aarch64' },
} as const;

/** Where they are; the same as /dist in a machine. */
export function packagesDirectory(): string {
  const directory = process.env.CRYONET_PACKAGES;
  if (directory === undefined) throw new Error('no packages: packaging-tests/run.ts builds them');
  return directory;
}

/** The path of one. */
export function packageFile(format: Format, edition: Edition = 'first', arch: Architecture = 'x64'): string {
  const directory = join(packagesDirectory(), edition);
  const pattern = `cryonet*${names[format][arch]}.${format}`;
  const [file, ...more] = globSync(pattern, { cwd: directory });
  if (file === undefined || more.length > 0) throw new Error(`${pattern} is not one file of ${directory}`);
  return join(directory, file);
}

/** The path of one as a machine sees it. */
export function inMachine(format: Format, edition: Edition = 'first'): string {
  return join('/dist', edition, basename(packageFile(format, edition)));
}

/** The tree of a deb, with modes and owners as in the package. */
export async function unpacked(
  lab: Lab,
  arch: Architecture,
  how: '--extract' | '--raw-extract' = '--extract',
) {
  const tree = join(lab.directory, `${arch}${how}`);
  await shell`dpkg-deb ${how} ${packageFile('deb', 'first', arch)} ${tree}`;
  return tree;
}

export function versionOf(edition: Edition): string {
  const { version } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8'));
  const [major, minor, patch] = version.split('.').map(Number);
  return `${major}.${minor}.${patch + editions.indexOf(edition)}`;
}

/** Builds an edition into its folder of `packagesDirectory`. */
export async function buildEdition(edition: Edition, signal: AbortSignal): Promise<void> {
  const out = join(packagesDirectory(), edition);
  const options = ['--arch', 'x64', '--version', versionOf(edition)];
  if (edition === 'changed') {
    const prepare = 'echo "globalThis.changed = true;" >>dataplane/main.ts';
    await buildElsewhere(out, options, { prepare, signal });
  } else {
    const command = buildCommand(out, edition === 'first' ? [] : options);
    await shell({ cwd: checkout, signal })`${command}`;
  }
}

/**
 * Builds a copy of the checkout in another directory. `prepare`: shell commands run there first; the copy is gone
 * afterwards. `environment` is added to this process's.
 */
export async function buildElsewhere(
  out: string,
  options: readonly string[],
  {
    prepare = ':',
    environment = {},
    signal,
  }: { prepare?: string; environment?: NodeJS.ProcessEnv; signal?: AbortSignal } = {},
): Promise<void> {
  const script = `
    mount -t tmpfs tmpfs /mnt
    mkdir -p /mnt/upper /mnt/work /mnt/else/where
    mount -t overlay -o lowerdir=${checkout},upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/else/where
    cd /mnt/else/where
    ${prepare}
    exec "$@"`;
  const env = { ...process.env, ...environment };
  const elsewhere = shell({ env, signal });
  await elsewhere`unshare --mount --propagation private sh -euc ${script} build ${buildCommand(out, options)}`;
}

function buildCommand(out: string, options: readonly string[]): string[] {
  return [process.execPath, 'packaging/build.ts', '--out', out, ...options];
}

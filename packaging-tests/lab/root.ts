/** Root trees of Debian releases, made by mmdebstrap and kept between runs. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { shell } from '../../netns-tests/lab/shell.ts';

export const suites = ['bookworm', 'trixie'] as const;
export type Suite = (typeof suites)[number];

const cache = process.env.CRYONET_ROOTS ?? '/var/cache/cryonet-tests';

/** Packages beside the essential ones and apt: a machine to boot has what every installed system has, and rpm; a bare
 *  one is as small as Debian gets. */
const packages = {
  machine: ['systemd', 'systemd-sysv', 'dbus', 'netbase', 'iproute2', 'nftables', 'rpm'],
  bare: [],
} as const;
type Kind = keyof typeof packages;

/** Where this machine says which mirrors it uses; without it mmdebstrap uses Debian's. */
const sources = '/etc/apt/sources.list.d/debian.sources';

/** As in the images that containers are made of: what is there to be read is left out, of what is installed later too.
 *  As an option of dpkg mmdebstrap would filter each package by a program in Python, for half of the whole time. So are
 *  authorities: more than a thousand processes would install them, and nobody asks for them, as npm has its own. */
const texts = ['doc', 'man', 'locale', 'info'].map((name) => `/usr/share/${name}/*`);
const leftOut = '/etc/dpkg/dpkg.cfg.d/container';
const bare = [
  '--variant=minbase',
  `--customize-hook=cd "$1" && rm -rf ${texts.map((path) => `.${path}`).join(' ')}`,
  ...[...texts, '/usr/share/ca-certificates/*'].map(
    (path) => `--customize-hook=echo 'path-exclude=${path}' >>"$1${leftOut}"`,
  ),
];

/** A bare one, with what makes it a machine: a third of the work of making it of nothing. */
const machineFrom = (tree: string) => [
  '--variant=custom',
  `--setup-hook=cp -a '${tree}/.' "$1"`,
  `--customize-hook=rm "$1${leftOut}"`,
  `--customize-hook=chroot "$1" apt-get install -qq --yes --no-install-recommends ${packages.machine.join(' ')} >/dev/null`,
  // A console login would write to the console, where the journal is shown.
  '--customize-hook=ln -s /dev/null "$1/etc/systemd/system/console-getty.service"',
  // Set anew by each machine.
  '--customize-hook=: >"$1/etc/machine-id"',
];

/** The root tree of a release. It is shared: never write to it. Throws where `makeRoot` was not called. */
export function rootOf(suite: Suite, kind: Kind = 'machine'): string {
  const root = pathOf(suite, kind);
  if (!existsSync(root)) throw new Error(`no root tree of ${suite}: packaging-tests/run.ts makes it`);
  return root;
}

/** Makes the root tree unless it is there. A tree is there in whole or not at all; of two that make the same one the
 *  second to end gives up its own. */
export async function makeRoot(suite: Suite, signal: AbortSignal, kind: Kind = 'machine'): Promise<void> {
  const root = pathOf(suite, kind);
  if (existsSync(root)) return;
  if (kind === 'machine') await makeRoot(suite, signal, 'bare');
  mkdirSync(cache, { recursive: true });
  const work = await mkdtemp(join(cache, `.${suite}-`));
  const tree = join(work, 'root');
  try {
    const options = [
      ...['--quiet', '--mode=root', '--format=directory', '--dpkgopt=force-unsafe-io'],
      ...(kind === 'machine' ? machineFrom(pathOf(suite, 'bare')) : bare),
    ];
    const mirrors = await mirrorsFor(suite, work);
    await shell({ timeout: '600s', signal })`mmdebstrap ${options} ${suite} ${tree} ${mirrors}`;
    await rename(tree, root).catch((error: NodeJS.ErrnoException) => {
      if (!['ENOTEMPTY', 'EEXIST'].includes(error.code ?? '')) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function pathOf(suite: Suite, kind: Kind): string {
  const key = createHash('sha256').update(`${packages[kind].join()} 4`).digest('hex').slice(0, 12);
  return join(cache, `${suite}-${key}`);
}

/** A directory for what apt and npm download in trees of a release, kept between runs. */
export function downloadsOf(suite: Suite): string {
  const directory = join(cache, `downloads-${suite}`);
  mkdirSync(directory, { recursive: true });
  return directory;
}

/** This machine's own source list, for another release; nothing where it has none of that form. */
async function mirrorsFor(suite: Suite, directory: string): Promise<string[]> {
  if (!existsSync(sources)) return [];
  const file = join(directory, 'debian.sources');
  const here = /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
  const text = readFileSync(sources, 'utf8').replaceAll(/^Suites:.*$/gm, (line) =>
    line.replaceAll(here ?? suite, suite),
  );
  await writeFile(file, text);
  return [file];
}

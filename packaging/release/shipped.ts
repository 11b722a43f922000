/** Which packages of others are in the programs, and which parts are in these again. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '../..');

/** Of esbuild's metafile: what went into each bundle. Paths are absolute, or relative to the root of the project. */
export interface Metafile {
  readonly outputs: Readonly<
    Record<string, { readonly inputs: Readonly<Record<string, { readonly bytesInOutput: number }>> }>
  >;
}

export interface ShippedPackage {
  readonly name: string;
  readonly version: string;
  /** SPDX expression. */
  readonly licence: string;
  readonly folder: string;
}

export interface LinkedPart {
  readonly name: string;
  /** None where the binary does not tell. */
  readonly version?: string;
  readonly licence: string;
  readonly purl: string;
  /** File in texts/; none where the text is that of the package it is linked into. */
  readonly text?: string;
}

/**
 * Linked into node_datachannel.node, which names none of them in its package. Whoever changes its version looks at its
 * CMakeLists.txt, the submodules of that libdatachannel and the strings of the binary, and then changes this.
 */
export const nodeDatachannel: { readonly version: string; readonly parts: readonly LinkedPart[] } = {
  version: '0.33.4',
  parts: [
    {
      name: 'libdatachannel',
      version: '0.24.5',
      licence: 'MPL-2.0',
      purl: 'pkg:github/paullouisageneau/libdatachannel@v0.24.5',
    },
    { name: 'libjuice', licence: 'MPL-2.0', purl: 'pkg:github/paullouisageneau/libjuice' },
    { name: 'usrsctp', licence: 'BSD-3-Clause', purl: 'pkg:github/sctplab/usrsctp', text: 'usrsctp.txt' },
    {
      name: 'libsrtp',
      version: '2.8.0',
      licence: 'BSD-3-Clause',
      purl: 'pkg:github/cisco/libsrtp@v2.8.0',
      text: 'libsrtp.txt',
    },
    { name: 'plog', licence: 'MIT', purl: 'pkg:github/SergiusTheBest/plog', text: 'plog.txt' },
    {
      name: 'openssl',
      version: '1.1.1w',
      licence: 'OpenSSL',
      purl: 'pkg:generic/openssl@1.1.1w',
      text: 'openssl-1.1.1.txt',
    },
  ],
};

/** Each package that has a byte in a bundle, by name. */
export function bundledPackages(metafiles: readonly Metafile[]): ShippedPackage[] {
  const inputs = metafiles
    .flatMap(({ outputs }) => Object.values(outputs))
    .flatMap((output) => Object.entries(output.inputs))
    .flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? [resolve(root, path)] : []))
    .filter((path) => path.includes('/node_modules/'));
  const folders = new Set(inputs.map(folderOf));
  return [...folders].map(packageAt).sort(byName);
}

export function packageAt(folder: string): ShippedPackage {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  if (typeof license !== 'string') throw new Error(`${name} ${version} names no licence`);
  if (name.includes('node-datachannel') && version !== nodeDatachannel.version) {
    throw new Error(
      `which libraries are linked into ${name} ${version}? Look, and change ${import.meta.filename}`,
    );
  }
  return { name, version, licence: license.replace(/^MPL 2\.0$/, 'MPL-2.0'), folder };
}

type Named = Pick<ShippedPackage, 'name' | 'version'>;

/** Several versions of one package may be there. */
export function byName(a: Named, b: Named): number {
  return compare(a.name, b.name) || compare(a.version, b.version);
}

export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The nearest folder upwards with a package.json that names a package; some have more of them inside. */
function folderOf(path: string): string {
  for (let folder = dirname(path); folder !== root && folder !== '/'; folder = dirname(folder)) {
    const file = join(folder, 'package.json');
    if (existsSync(file) && JSON.parse(readFileSync(file, 'utf8')).version !== undefined) return folder;
  }
  throw new Error(`${path} belongs to no package`);
}

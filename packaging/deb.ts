/** A tree and its manifest as a .deb, by dpkg-deb. */
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { $ } from 'zx/core';
import type { Manifest } from './manifest.ts';
import { setTimes } from './stage.ts';

/** What dpkg-deb compresses with. zstd's result depends on the number of threads, xz's does not. */
const compression = { test: ['-Zzstd', '-z1', '--threads-max=2'], release: ['-Zxz', '-z6'] };

export interface PackOptions {
  /** The staged tree. */
  readonly tree: string;
  /** A folder for what is made on the way. */
  readonly work: string;
  /** Folder for the package. */
  readonly out: string;
  /** Seconds. */
  readonly epoch: number;
  readonly compression: 'test' | 'release';
}

/** Path of the package. */
export async function buildDeb(manifest: Manifest, options: PackOptions): Promise<string> {
  const { tree, out, epoch } = options;
  const control = join(tree, 'DEBIAN');
  rmSync(control, { recursive: true, force: true });
  mkdirSync(control);
  const write = (name: string, text: string, mode = 0o644) => {
    writeFileSync(join(control, name), text);
    chmodSync(join(control, name), mode);
  };
  write('control', controlFile(manifest, tree));
  write('md5sums', md5sums(manifest, tree));
  write('conffiles', lines(manifest.contents.filter(({ type }) => type === 'config').map(({ dst }) => dst)));
  for (const [name, text] of Object.entries(manifest.scripts)) write(name, text, 0o755);
  chmodSync(control, 0o755);
  setTimes(control, epoch);
  setTimes(tree, epoch);
  const path = join(out, `${manifest.name}_${manifest.version}_${manifest.arch}.deb`);
  const env = { ...process.env, SOURCE_DATE_EPOCH: `${epoch}`, TZ: 'UTC', LC_ALL: 'C.UTF-8' };
  await $({
    quiet: true,
    env,
  })`dpkg-deb --root-owner-group ${compression[options.compression]} --build ${tree} ${path}`;
  return path;
}

function controlFile(manifest: Manifest, tree: string): string {
  const bytes = manifest.contents.reduce(
    (sum, { dst, type }) => sum + (type === 'dir' || type === 'link' ? 0 : statSync(join(tree, dst)).size),
    0,
  );
  return lines([
    `Package: ${manifest.name}`,
    `Version: ${manifest.version}`,
    `Architecture: ${manifest.arch}`,
    `Maintainer: ${manifest.maintainer}`,
    `Installed-Size: ${Math.ceil(bytes / 1024)}`,
    `Depends: ${manifest.depends.join(', ')}`,
    'Suggests: babeld | bird2',
    'Section: net',
    'Priority: optional',
    `Description: ${manifest.summary}`,
    ...manifest.description.map((line) => ` ${line}`),
  ]);
}

function md5sums({ contents }: Manifest, tree: string): string {
  const sums = contents
    .filter(({ type }) => type === 'file')
    .map(({ dst }) => {
      const md5 = createHash('md5')
        .update(readFileSync(join(tree, dst)))
        .digest('hex');
      return `${md5}  ${dst.slice(1)}`;
    });
  return lines(sums);
}

function lines(all: readonly string[]): string {
  return all.map((line) => `${line}\n`).join('');
}

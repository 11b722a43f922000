/** A tree and its manifest as an .rpm, by rpmbuild. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { $ } from 'zx/core';
import type { PackOptions } from './deb.ts';
import type { Content, Manifest } from './manifest.ts';

const payload = { test: 'w1.zstdio', release: 'w6.xzdio' };

/** Path of the package. */
export async function buildRpm(manifest: Manifest, options: PackOptions): Promise<string> {
  const { work, out, epoch } = options;
  mkdirSync(work, { recursive: true });
  const spec = join(work, 'cryonet.spec');
  writeFileSync(spec, specOf(manifest, options));
  const env = { ...process.env, SOURCE_DATE_EPOCH: `${epoch}`, TZ: 'UTC', LC_ALL: 'C.UTF-8' };
  // A configuration of the user's own would change the package.
  const folders = [`_topdir ${work}`, `_rpmdir ${work}`, `_tmppath ${work}`, '_rpmfilename %{NAME}.rpm'];
  await $({
    quiet: true,
    env,
  })`rpmbuild -bb --quiet --target ${manifest.arch}-linux ${folders.flatMap((each) => ['--define', each])} ${spec}`;
  const path = join(out, `${manifest.name}-${manifest.version}-1.${manifest.arch}.rpm`);
  renameSync(join(work, `${manifest.name}.rpm`), path);
  return path;
}

function specOf(manifest: Manifest, { tree, epoch, compression }: PackOptions): string {
  const template = readFileSync(join(import.meta.dirname, 'files/rpm/cryonet.spec'), 'utf8');
  const values: Record<string, string> = {
    name: manifest.name,
    version: manifest.version,
    summary: `${manifest.summary[0]!.toUpperCase()}${manifest.summary.slice(1)}`,
    description: manifest.description.join('\n'),
    licence: manifest.licence,
    maintainer: manifest.maintainer,
    requires: manifest.depends.map((name) => `Requires: ${name}`).join('\n'),
    payload: payload[compression],
    date: dateOf(epoch),
    tree,
    files: manifest.contents.map(fileLine).join('\n'),
    scripts: Object.entries(manifest.scripts)
      .map(([name, text]) => `%${name}\n${escaped(text)}`)
      .join('\n'),
  };
  return template.replace(/@(\w+)@/g, (_, name: string) => values[name]!);
}

function fileLine({ dst, type, mode, group }: Content): string {
  const kind = type === 'dir' ? '%dir ' : type === 'config' ? '%config(noreplace) ' : documentation(dst);
  if (type === 'link') return dst;
  return `%attr(${mode.toString(8).padStart(4, '0')},root,${group ?? 'root'}) ${kind}${dst}`;
}

function documentation(dst: string): string {
  if (basename(dst) === 'LICENSE') return '%license ';
  return dst.startsWith('/usr/share/doc/') || dst.startsWith('/usr/share/man/') ? '%doc ' : '';
}

/** `Sun Nov 22 2026`. */
function dateOf(epoch: number): string {
  return new Date(epoch * 1000).toUTCString().replace(/^(\w+), (\d+) (\w+) (\d+) .*$/, '$1 $3 $2 $4');
}

/** A script's % is no macro. */
function escaped(text: string): string {
  return text.replaceAll('%', '%%');
}

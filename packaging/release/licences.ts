/** The licences of everything in the package that others have made. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  bundledPackages,
  byName,
  type Metafile,
  nodeDatachannel,
  packageAt,
  type ShippedPackage,
} from './shipped.ts';

interface LicencedPart {
  readonly name: string;
  readonly version: string;
  readonly licence: string;
  readonly text: string;
}

const texts = join(import.meta.dirname, 'texts');

/** Names first, then each text once. `roots`: folders of the npm packages whose files are in the package as they are. */
export function thirdPartyLicences(metafiles: readonly Metafile[], roots: readonly string[]): string {
  const parts = licencedParts(metafiles, roots);
  const width = Math.max(...parts.map((part) => titleOf(part).length));
  const names = parts.map((part) => `  ${titleOf(part).padEnd(width)}  ${part.licence}`);
  const shared = Map.groupBy(parts, ({ text }) => text);
  const sections = [...shared].map(
    ([text, users]) => `${'='.repeat(78)}\n${users.map((user) => `${titleOf(user)}\n`).join('')}\n${text}\n`,
  );
  return [
    'What cryonet is made of, besides its own code, and under which licences. The texts follow.\n',
    `${names.join('\n')}\n`,
    ...sections,
  ].join('\n');
}

/** By name, each once. */
export function licencedParts(metafiles: readonly Metafile[], roots: readonly string[]): LicencedPart[] {
  const found = [...bundledPackages(metafiles), ...roots.map(packageAt)];
  const parts = found.flatMap((shipped) => [
    { name: shipped.name, version: shipped.version, licence: shipped.licence, text: textOf(shipped, found) },
    ...(shipped.name.startsWith('@node-datachannel/') ? linkedParts(shipped, found) : []),
  ]);
  return [...new Map(parts.map((part) => [titleOf(part), part])).values()].sort(byName);
}

function linkedParts(into: ShippedPackage, found: readonly ShippedPackage[]): LicencedPart[] {
  return nodeDatachannel.parts.map(({ name, version, licence, text }) => ({
    name: `${name} (in node-datachannel)`,
    version: version ?? '',
    licence,
    text: text === undefined ? textOf(into, found) : readText(join(texts, text)),
  }));
}

function textOf({ name, version, folder }: ShippedPackage, found: readonly ShippedPackage[]): string {
  const files = readdirSync(folder)
    .filter((file) => /^(licen[cs]e|copying|notice)/i.test(file))
    .sort();
  if (files.length > 0) return files.map((file) => readText(join(folder, file))).join('\n\n');
  const own = readdirSync(texts).find((file) => file === `${name}.txt`);
  if (own) return readText(join(texts, own));
  // A package of binaries for one platform goes by the text of the package that it is of.
  const whole = found.find((other) => name.startsWith(`@${other.name}/`));
  if (whole) return textOf(whole, []);
  throw new Error(`${name} ${version} has no licence text: put it into ${texts}/${name}.txt`);
}

function readText(path: string): string {
  return readFileSync(path, 'utf8')
    .replaceAll('\r\n', '\n')
    .replace(/[ \t]+$/gm, '')
    .replace(/^\n+|\n+$/g, '');
}

function titleOf({ name, version }: { readonly name: string; readonly version: string }): string {
  return `${name} ${version}`.trim();
}

/** `/usr/share/doc/cryonet/copyright`, in Debian's machine-readable form (DEP-5). */
import { licencedParts } from './licences.ts';
import type { Metafile } from './shipped.ts';

const texts = '/usr/share/doc/cryonet/third-party-licences.txt.gz';
const ours = '2026 The cryonet authors';

/** Licences whose text Debian installs everywhere, by their SPDX names. */
const common = ['Apache-2.0', 'MPL-2.0'];

export function copyright(metafiles: readonly Metafile[], roots: readonly string[]): string {
  const bundled = licencedParts(metafiles, []);
  const onDisk = licencedParts(metafiles, roots).filter(
    ({ name }) => !bundled.some((part) => part.name === name),
  );
  const runtime = onDisk.filter(({ name }) => name.startsWith('node-linux-'));
  const engine = onDisk.filter((part) => !runtime.includes(part));
  const licences = new Set(['Apache-2.0', ...[...bundled, ...onDisk].map(({ licence }) => licence)]);
  return [
    'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: cryonet\n' +
      `Comment:\n The parts made by others, each with its licence in full, are listed in\n ${texts}.\n`,
    files('*', [ours], ['Apache-2.0']),
    files('usr/lib/cryonet/*.mjs', [ours, ...holders(bundled)], ['Apache-2.0', ...licencesOf(bundled)]),
    ...(engine.length > 0
      ? [files('usr/lib/cryonet/node_modules/*', holders(engine), licencesOf(engine))]
      : []),
    ...(runtime.length > 0 ? [files('usr/lib/cryonet/bin/node', holders(runtime), licencesOf(runtime))] : []),
    ...[...licences]
      .sort()
      .map(
        (name) =>
          `License: ${name}\n The full text is in ${common.includes(name) ? `/usr/share/common-licenses/${name}` : texts}.\n`,
      ),
  ].join('\n');
}

function files(pattern: string, copyrights: readonly string[], licences: readonly string[]): string {
  return `Files: ${pattern}\nCopyright:\n${copyrights.map((line) => ` ${line}\n`).join('')}License: ${[...new Set(licences)].join(' and ')}\n`;
}

function licencesOf(parts: readonly { readonly licence: string }[]): string[] {
  return [...new Set(parts.map(({ licence }) => licence))].sort();
}

/** Who the texts say holds the copyright; of a licence's own words about it, nothing. */
function holders(parts: readonly { readonly text: string; readonly name: string }[]): string[] {
  const lines = parts.flatMap(({ name, text }) => {
    const named = [...text.matchAll(/^\W*copyright (?:\(c\)|©|\d{4}|[A-Z][\w.]+ contributors)[^\n]*/gim)].map(
      ([line]) =>
        line
          .replace(/^\W*copyright\s*(\(c\)|©)?\s*/i, '')
          .replace(/\s*(All rights reserved\.?)?[\s*/]*$/i, ''),
    );
    return named.length > 0 ? named : [`The authors of ${name}`];
  });
  return [...new Set(lines)].filter((line) => /[a-z]/i.test(line)).sort();
}

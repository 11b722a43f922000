/** What is in the package, in which format whatever: the one list that both are made from. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { journalCatalog } from '../protocol/journal.ts';
import { type ProgramName, programNames, root } from './bundle.ts';
import { completions } from './completions.ts';
import { configToml, defaultFile } from './config-files.ts';
import type { Architecture } from './runtime.ts';

export type Format = 'deb' | 'rpm';

/** A file of the tree, at an absolute path. Who owns what is not root's is set when there is such a user. */
export interface Content {
  readonly dst: string;
  readonly type: 'file' | 'config' | 'dir' | 'link';
  readonly mode: number;
  readonly group?: 'cryonet';
  /** A file to copy, or what to write, or where a link leads; none of both for a folder. */
  readonly src?: string;
  readonly text?: string | Buffer;
}

export interface Manifest {
  readonly name: string;
  readonly version: string;
  /** As the format calls it. */
  readonly arch: string;
  readonly summary: string;
  readonly description: readonly string[];
  readonly licence: string;
  readonly maintainer: string;
  readonly depends: readonly string[];
  readonly contents: readonly Content[];
  /** Maintainer scripts by the format's name for them: their text. */
  readonly scripts: Readonly<Record<string, string>>;
}

/** What was built for one architecture before it can be packed. */
export interface Parts {
  readonly version: string;
  readonly arch: Architecture;
  /** Seconds; what every file's time is. */
  readonly epoch: number;
  /** Texts of the programs. */
  readonly bundles: Readonly<Record<string, string>>;
  /** Paths. */
  readonly node: string;
  readonly nodeDatachannel: string;
  readonly addons: string;
  /** What a running dataplane is made of: restarted only when this changes. */
  readonly dataplaneSum: string;
  readonly sbom: string;
  readonly licences: string;
  readonly copyright: string;
}

const files = join(import.meta.dirname, 'files');

/** The same in bin/launch.sh. */
export const nodeFlags = ['--max-semi-space-size=1', '--max-old-space-size=512', '--v8-pool-size=1'];

export const archNames = {
  deb: { x64: 'amd64', arm64: 'arm64' },
  rpm: { x64: 'x86_64', arm64: 'aarch64' },
} as const;

/** Floors: GLIBC_2.34 of our addons, GLIBCXX_3.4.21 and CXXABI_1.3.11 of Node. rpm finds these by itself. */
const depends = {
  deb: [
    ...['libc6 (>= 2.34)', 'libgcc-s1', 'libstdc++6 (>= 7)'],
    'systemd (>= 249) | systemd-standalone-sysusers | systemd-sysusers',
  ],
  rpm: ['systemd >= 249'],
};

export const scriptNames = {
  deb: ['preinst', 'postinst', 'prerm', 'postrm'],
  rpm: ['pre', 'post', 'preun', 'postun', 'posttrans'],
};

export function manifest(format: Format, parts: Parts): Manifest {
  return {
    name: 'cryonet',
    version: parts.version,
    arch: archNames[format][parts.arch],
    summary: 'decentralized full-mesh tunnels, made for Babel and OSPF',
    description: [
      'Each node of a mesh has one point-to-point interface for each other node.',
      'WebRTC finds the paths, through NATs and firewalls; signaling travels by the',
      'mesh itself, so that there is no controller. Packets pass by native threads,',
      'and control can be upgraded without losing one of them.',
    ],
    licence: 'Apache-2.0',
    maintainer: 'The cryonet authors <cryonet@example.org>',
    depends: depends[format],
    contents: contents(format, parts).sort((a, b) => (a.dst < b.dst ? -1 : 1)),
    scripts: scripts(format),
  };
}

function scripts(format: Format): Record<string, string> {
  const users = readFileSync(join(files, 'sysusers.conf'), 'utf8').trim();
  const text = (name: string) => readFileSync(join(files, format, name), 'utf8');
  return Object.fromEntries(
    scriptNames[format].map((name) => [name, text(name).replace('@sysusers@', users)]),
  );
}

function contents(format: Format, parts: Parts): Content[] {
  const lib = '/usr/lib/cryonet';
  const system = '/usr/lib/systemd/system';
  const doc = '/usr/share/doc/cryonet';
  const addon = `${lib}/node_modules/@node-datachannel/linux-${parts.arch}-gnu`;
  const platform = JSON.stringify({ name: addon.slice(addon.indexOf('@')), main: 'node_datachannel.node' });
  return [
    ...folders(lib, `${lib}/bin`, `${lib}/native`, `${lib}/node_modules`),
    ...folders(`${lib}/node_modules/@node-datachannel`, addon, doc, '/etc/cryonet'),
    { ...file(`${lib}/bin/node`, 0o755), src: parts.node },
    ...Object.entries(parts.bundles).map(([name, text]) => ({ ...file(`${lib}/${name}.mjs`), text })),
    { ...file(`${lib}/native/cryonet.node`), src: join(parts.addons, 'cryonet.node') },
    { ...file(`${lib}/native/service.node`), src: join(parts.addons, 'service.node') },
    { ...file(`${lib}/launch`, 0o755), src: join(parts.addons, 'launch') },
    { ...file(`${addon}/node_datachannel.node`), src: parts.nodeDatachannel },
    { ...file(`${addon}/package.json`), text: `${platform}\n` },
    { ...file(`${lib}/dataplane.sum`), text: `${parts.dataplaneSum}\n` },
    ...programNames.map((name) => ({ ...file(`/usr/bin/${name}`, 0o755), text: launcher(name) })),
    ...units.map((name) => ({
      ...file(`/usr/lib/systemd/system/${name}`),
      src: join(files, 'systemd', name),
    })),
    ...folders(`${system}/nftables.service.wants`),
    {
      dst: `${system}/nftables.service.wants/cryonet.slice`,
      type: 'link',
      mode: 0o777,
      src: '../cryonet.slice',
    },
    ...['dataplane-environment', 'stop-dataplane', 'tun-device'].map((name) => ({
      ...file(`${lib}/${name}`, 0o755),
      src: join(files, 'systemd', name),
    })),
    ...folders(`${lib}/hooks`, '/etc/cryonet/hooks.d'),
    ...['babeld', 'bird'].map((name) => ({
      ...file(`${lib}/hooks/${name}`, 0o755),
      src: join(files, 'hooks', name),
    })),
    { ...file('/usr/lib/sysusers.d/cryonet.conf'), src: join(files, 'sysusers.conf') },
    { ...file('/usr/lib/modules-load.d/cryonet.conf'), src: join(files, 'modules-load.conf') },
    { ...file('/usr/lib/systemd/catalog/cryonet.catalog'), text: journalCatalog() },
    // Before other files by name, as the first that matches counts.
    { ...file('/usr/lib/systemd/network/05-cryonet.network'), src: join(files, 'networkd.network') },
    { ...file('/usr/lib/NetworkManager/conf.d/05-cryonet.conf'), src: join(files, 'networkmanager.conf') },
    { dst: '/etc/cryonet/config.d', type: 'dir', mode: 0o750, group: 'cryonet' },
    { ...file('/etc/cryonet/config.toml', 0o640), type: 'config', group: 'cryonet', text: configToml() },
    { ...file('/etc/default/cryonet', 0o640), type: 'config', text: defaultFile() },
    ...programNames.map((name) => manual(name)),
    ...completions(format).map(({ path, text }) => ({ ...file(path), text })),
    { ...file(`${doc}/CHANGELOG.md.gz`), text: zipped(readFileSync(join(root, 'CHANGELOG.md'))) },
    { ...file(`${doc}/third-party-licences.txt.gz`), text: zipped(parts.licences) },
    { ...file(`${doc}/sbom.cdx.json.gz`), text: zipped(parts.sbom) },
    ...(format === 'deb' ? debian(parts, doc) : redHat(doc)),
  ];
}

export const units = [
  'cryonet.service',
  'cryonet-dataplane.service',
  'cryonet-dataplane.socket',
  'cryonet-hooks.service',
  'cryonet.slice',
];

function debian({ version, epoch, copyright }: Parts, doc: string): Content[] {
  const date = new Date(epoch * 1000).toUTCString().replace('GMT', '+0000');
  const changelog =
    `cryonet (${version}) stable; urgency=medium\n\n  * What changed is in CHANGELOG.md.gz.\n\n` +
    ` -- The cryonet authors <cryonet@example.org>  ${date}\n`;
  return [
    { ...file(`${doc}/copyright`), text: copyright },
    { ...file(`${doc}/changelog.gz`), text: zipped(changelog) },
    { ...file('/usr/share/lintian/overrides/cryonet'), src: join(files, 'deb/lintian-overrides') },
  ];
}

function redHat(doc: string): Content[] {
  return [
    // Nobody owns them where the programs are not installed.
    ...folders('/usr/lib/NetworkManager', '/usr/lib/NetworkManager/conf.d', '/usr/lib/systemd/network'),
    ...folders('/usr/lib/systemd/catalog'),
    ...folders('/usr/share/bash-completion', '/usr/share/bash-completion/completions'),
    ...folders('/usr/share/zsh', '/usr/share/zsh/site-functions'),
    ...folders('/usr/share/fish', '/usr/share/fish/vendor_completions.d'),
    { ...file(`${doc}/LICENSE`), src: join(root, 'LICENSE') },
    { ...file('/usr/lib/systemd/system-preset/80-cryonet.preset'), text: 'enable cryonet.service\n' },
  ];
}

function file(dst: string, mode = 0o644): Content {
  return { dst, type: 'file', mode };
}

function folders(...paths: string[]): Content[] {
  return paths.map((dst) => ({ dst, type: 'dir', mode: 0o755 }));
}

function manual(program: string): Content {
  const text = zipped(readFileSync(join(root, 'man', `${program}.1`)));
  return { ...file(`/usr/share/man/man1/${program}.1.gz`), text };
}

function launcher(program: ProgramName): string {
  const lib = '/usr/lib/cryonet';
  const places = { launch: `${lib}/launch`, node: `${lib}/bin/node`, bundle: `${lib}/${program}.mjs` };
  return `#!/bin/sh\nexec ${commandOf(program, places).join(' ')} "$@"\n`;
}

/** What runs a program: the same as bin/launch.sh of a checkout. Paths. */
export function commandOf(
  program: ProgramName,
  { launch, node, bundle }: Readonly<Record<'launch' | 'node' | 'bundle', string>>,
): string[] {
  const role = program === 'cryonet' ? 'control' : 'dataplane';
  return [...(program === 'cryoc' ? [] : [launch, role]), node, ...nodeFlags, bundle];
}

/** Without a name or a time, as gzip -9n makes it. */
function zipped(text: string | Buffer): Buffer {
  return gzipSync(text, { level: 9 });
}

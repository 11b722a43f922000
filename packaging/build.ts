/**
 * `./dev package`: the packages of every architecture and format, byte for byte the same wherever and whenever they
 * are built from one commit.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Metafile } from 'esbuild';
import { $ } from 'zx/core';
import { type Bundle, bundle, bundleNames, root } from './bundle.ts';
import { buildDeb, type PackOptions } from './deb.ts';
import { type Format, manifest, type Parts } from './manifest.ts';
import { copyright } from './release/copyright.ts';
import { thirdPartyLicences } from './release/licences.ts';
import { release } from './release/main.ts';
import { sbom } from './release/sbom.ts';
import { signingKey } from './release/signing.ts';
import { buildRpm } from './rpm.ts';
import { type Architecture, architectures, pinnedNode, runtime } from './runtime.ts';
import { stage } from './stage.ts';

const usage = `./dev package [OPTIONS]

  --arch x64,arm64     architectures; default both
  --format deb,rpm     formats; default both
  --out DIR            where the packages go; default dist
  --release            the compression of a release; without it, the fastest
  --version X          another version than that of package.json
  --repo               afterwards a bill of materials, checksums, and a repository for apt and dnf
  --sign KEYID         with --repo: the key of gpg's keyring to sign with
  --unsigned           with --repo: a repository without signatures`;

const { values: options } = parseArgs({
  options: {
    arch: { type: 'string', default: architectures.join() },
    format: { type: 'string', default: 'deb,rpm' },
    out: { type: 'string', default: join(root, 'dist') },
    release: { type: 'boolean', default: false },
    version: {
      type: 'string',
      default: JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version,
    },
    repo: { type: 'boolean', default: false },
    sign: { type: 'string' },
    unsigned: { type: 'boolean' },
    help: { type: 'boolean', default: false },
  },
});

if (options.help) console.log(usage);
else await main();

async function main(): Promise<void> {
  const archs = listed(options.arch, architectures, '--arch');
  const formats = listed(options.format, ['deb', 'rpm'] as const, '--format');
  const { version } = options;
  if (!/^\d[\w.+~]*$/.test(version))
    throw new Error(`--version takes a version of both formats, not ${version}`);
  // Before the long part.
  if (options.repo) await signingKey(options);
  const epoch = await sourceDate();
  const out = resolve(options.out);
  mkdirSync(out, { recursive: true });
  const work = temporaryFolder();
  const bundles = await bundleAll(version);
  const metafiles = Object.values(bundles).map(({ metafile }) => metafile);
  const materials = sbom({ version, epoch, node: pinnedNode(), metafiles });
  const roots = new Set<string>();
  for (const arch of archs) {
    const folder = join(work, arch);
    const parts = await partsOf(arch, folder, { version, epoch, bundles, metafiles, materials, roots });
    await Promise.all(formats.map((format) => pack(format, parts, join(folder, format), out)));
    rmSync(folder, { recursive: true });
  }
  if (options.repo) {
    const { sign, unsigned } = options;
    await release({
      out,
      version,
      epoch,
      node: pinnedNode(),
      metafiles,
      roots: [...roots],
      sign,
      unsigned,
    });
  }
}

/** Gone when the process ends, also by a signal. */
function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'cryonet-package-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
  return folder;
}

interface Shared {
  readonly version: string;
  readonly epoch: number;
  readonly bundles: Readonly<Record<string, Bundle>>;
  readonly metafiles: readonly Metafile[];
  readonly materials: string;
  /** Folders of npm packages that are shipped as they are; added to. */
  readonly roots: Set<string>;
}

async function partsOf(arch: Architecture, folder: string, shared: Shared): Promise<Parts> {
  const { version, epoch, bundles, metafiles } = shared;
  const addons = join(folder, 'addons');
  await $({
    quiet: true,
  })`${process.execPath} ${join(root, 'dataplane/native/build.mjs')} --arch ${arch} --out ${addons}`;
  const { node, nodeDatachannel, roots } = await runtime(arch, join(folder, 'runtime'));
  for (const each of roots) shared.roots.add(each);
  return {
    ...{ version, arch, epoch, node, nodeDatachannel, addons },
    bundles: Object.fromEntries(Object.entries(bundles).map(([name, { text }]) => [name, text])),
    dataplaneSum: await dataplaneSum(bundles.werift!, [
      ...[node, nodeDatachannel, join(addons, 'cryonet.node'), join(addons, 'service.node')],
      join(import.meta.dirname, 'files/systemd/cryonet-dataplane.service'),
    ]),
    sbom: shared.materials,
    licences: thirdPartyLicences(metafiles, roots),
    copyright: copyright(metafiles, roots),
  };
}

async function bundleAll(version: string): Promise<Record<string, Bundle>> {
  return Object.fromEntries(
    await Promise.all(bundleNames.map(async (name) => [name, await bundle(name, version)])),
  );
}

/** Two versions whose dataplanes differ in nothing but the version have the same. */
async function dataplaneSum(werift: Bundle, paths: readonly string[]): Promise<string> {
  const hash = createHash('sha256')
    .update((await bundle('cryonet-dataplane', 'any')).text)
    .update(werift.text);
  for (const path of paths) hash.update(createHash('sha256').update(readFileSync(path)).digest());
  return hash.digest('hex');
}

async function pack(format: Format, parts: Parts, work: string, out: string): Promise<void> {
  const described = manifest(format, parts);
  const packing: PackOptions = {
    ...{ tree: join(work, 'tree'), work: join(work, 'build'), out, epoch: parts.epoch },
    compression: options.release ? 'release' : 'test',
  };
  stage(packing.tree, described.contents, parts.epoch);
  const path = await (format === 'deb' ? buildDeb : buildRpm)(described, packing);
  console.log(`${basename(path)}  ${(statSync(path).size / 1e6).toFixed(1)} MB`);
}

/** Seconds: SOURCE_DATE_EPOCH, else the date of the commit, also where root builds in the clone of somebody else. */
async function sourceDate(): Promise<number> {
  const given = process.env.SOURCE_DATE_EPOCH;
  const log = $({ quiet: true, nothrow: true, cwd: root });
  const text = given || (await log`git -c safe.directory=${'*'} log -1 --format=%ct`).stdout;
  const epoch = Number(text);
  if (Number.isInteger(epoch) && epoch > 0) return epoch;
  if (given) throw new Error('SOURCE_DATE_EPOCH takes seconds since 1970');
  throw new Error('no commit here to date the files by: give SOURCE_DATE_EPOCH, seconds since 1970');
}

function listed<T extends string>(text: string, known: readonly T[], option: string): T[] {
  return text.split(',').map((each) => {
    const found = known.find((name) => name === each);
    if (found === undefined) throw new Error(`${option} takes ${known.join(', ')}, not ${each}`);
    return found;
  });
}

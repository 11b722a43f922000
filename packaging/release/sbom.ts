/**
 * The software bill of materials, CycloneDX 1.5: npm's own of the production tree, and what npm does not know of: the
 * binaries of Node, what these and node-datachannel have linked in, our addons. The same input gives the same bytes.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { addon, byReference, type Component, described, nodeRuntime, type Runtime } from './component.ts';
import { bundledPackages, compare, type Metafile, root } from './shipped.ts';

export interface SbomOptions {
  /** Of cryonet. */
  readonly version: string;
  /** Seconds; SOURCE_DATE_EPOCH. */
  readonly epoch: number;
  readonly node: Runtime;
  readonly metafiles: readonly Metafile[];
}

interface Bom {
  serialNumber: string;
  metadata: { timestamp: string; tools: { version?: string }[]; component: Component };
  components: Component[];
  dependencies: { ref: string; dependsOn: string[] }[];
}

interface LockedPackage {
  readonly version?: string;
  readonly dev?: true;
  readonly os?: string | readonly string[];
  readonly libc?: string | readonly string[];
  readonly cpu?: string | readonly string[];
}

const addons = ['cryonet.node', 'service.node'];

/** JSON, ending with a newline. Runs npm, and has to run in the Node that it is about. */
export function sbom(options: SbomOptions): string {
  const { version, epoch, metafiles } = options;
  const bom = npmBom();
  const self = `cryonet@${version}`;
  const before = bom.metadata.component['bom-ref'];
  bom.metadata.timestamp = new Date(epoch * 1000).toISOString();
  for (const tool of bom.metadata.tools) delete tool.version;
  // npm names the folder, and the version of package.json.
  Object.assign(bom.metadata.component, {
    'bom-ref': self,
    type: 'application',
    name: 'cryonet',
    version,
    purl: `pkg:npm/${self}`,
  });

  const kept = productionPackages();
  const shipped = new Set(bundledPackages(metafiles).map(referenceOf));
  const own = addons.map((name) => addon(name, version));
  const runtime = nodeRuntime(options.node);
  bom.components = [
    ...bom.components
      .filter((component) => kept.has(component['bom-ref']))
      .map((part) => described(part, shipped)),
    runtime,
    ...own,
  ].sort(byReference);

  const known = new Set([self, ...bom.components.map(referenceOfComponent)]);
  const renamed = (ref: string) => (ref === before ? self : ref);
  const added = [runtime, ...own].map(referenceOfComponent);
  bom.dependencies = [
    ...bom.dependencies.map(({ ref, dependsOn }) => ({
      ref: renamed(ref),
      dependsOn: [...dependsOn, ...(ref === before ? added : [])]
        .filter((target) => known.has(target))
        .sort(),
    })),
    ...added.map((ref) => ({ ref, dependsOn: [] })),
  ]
    .filter(({ ref }) => known.has(ref))
    .sort((a, b) => compare(a.ref, b.ref));

  bom.serialNumber = '';
  bom.serialNumber = `urn:uuid:${uuidOf(JSON.stringify(bom))}`;
  return `${JSON.stringify(bom, null, 2)}\n`;
}

/** Of the lock file, with development; --omit=dev would lose what a tool and the product both use. */
function npmBom(): Bom {
  const text = execFileSync('npm', ['sbom', '--sbom-format=cyclonedx', '--package-lock-only'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 67_108_864,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return JSON.parse(text);
}

/** References of what the product uses on a platform that there is a package for. */
function productionPackages(): Set<string> {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, LockedPackage>;
  };
  const fits = (names: string | readonly string[] | undefined, ...ours: readonly string[]) =>
    names === undefined || [names].flat().some((name) => ours.includes(name));
  return new Set(
    Object.entries(packages).flatMap(([path, { version, dev, os, cpu, libc }]) =>
      path !== '' && !dev && fits(os, 'linux') && fits(cpu, 'x64', 'arm64') && fits(libc, 'glibc')
        ? [`${path.replace(/^.*node_modules\//, '')}@${version}`]
        : [],
    ),
  );
}

function referenceOf({ name, version }: { readonly name: string; readonly version: string }): string {
  return `${name}@${version}`;
}

function referenceOfComponent(component: Component): string {
  return component['bom-ref'];
}

/** A UUID of version 8 (RFC 9562): the hash of what it names. */
function uuidOf(text: string): string {
  const bytes = createHash('sha256').update(text).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

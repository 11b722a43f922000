/** The parts of a bill of materials that npm does not know, or not well enough. */
import { compare, type LinkedPart, nodeDatachannel } from './shipped.ts';

/** The pinned Node: hexadecimal SHA-256 of bin/node as it is published, for each architecture by npm's name. */
export interface Runtime {
  readonly version: string;
  readonly sha256: Readonly<Record<string, string>>;
}

/** Of CycloneDX 1.5, as far as it is used here. */
export interface Component {
  'bom-ref': string;
  type: string;
  name: string;
  version?: string;
  scope?: 'required' | 'optional' | 'excluded';
  purl?: string;
  cpe?: string;
  licenses?: { license: { id: string } }[];
  hashes?: { alg: string; content: string }[];
  properties?: { name: string; value: string }[];
  components?: Component[];
}

/** What no program contains is in the tree all the same; it is marked as not shipped. */
export function described(component: Component, shipped: ReadonlySet<string>): Component {
  const { name } = component;
  const onDisk = /^(node-linux-|@node-datachannel\/linux-)/.test(name);
  const scope = onDisk || shipped.has(component['bom-ref']) ? 'required' : 'excluded';
  if (!name.includes('node-datachannel')) return { ...component, scope };
  const corrected: Component = { ...component, scope, licenses: licensed('MPL-2.0') };
  return onDisk
    ? { ...corrected, components: nodeDatachannel.parts.map((part) => linked(part, name)) }
    : corrected;
}

function linked({ name, version, licence, purl }: LinkedPart, into: string): Component {
  return {
    'bom-ref': `${into}#${name}`,
    type: 'library',
    name,
    ...(version && { version }),
    purl,
    ...opensslCpe(name, version),
    licenses: licensed(licence),
  };
}

export function addon(name: string, version: string): Component {
  return {
    'bom-ref': `${name}@${version}`,
    type: 'library',
    name,
    version,
    scope: 'required',
    licenses: licensed('Apache-2.0'),
  };
}

export function nodeRuntime({ version, sha256 }: Runtime): Component {
  // Node lists what it has linked in, and only of itself.
  if (process.versions.node !== version)
    throw new Error(`made by Node ${version} alone, as ./dev package does`);
  return {
    'bom-ref': `node@${version}`,
    type: 'platform',
    name: 'node',
    version,
    scope: 'required',
    purl: `pkg:generic/node@${version}`,
    cpe: `cpe:2.3:a:nodejs:node.js:${version}:*:*:*:*:*:*:*`,
    licenses: licensed('MIT'),
    properties: [
      { name: 'cryonet:stripped', value: 'debugging symbols are taken off after the hash was checked' },
    ],
    components: [
      ...Object.entries(sha256).map(([arch, content]) => ({
        'bom-ref': `node@${version}#${arch}`,
        type: 'file',
        name: `bin/node of node-linux-${arch}`,
        hashes: [{ alg: 'SHA-256', content }],
      })),
      ...Object.entries(process.versions)
        .filter(([name, part]) => part && !['node', 'modules', 'napi'].includes(name))
        .map(([name, part]) => ({
          'bom-ref': `node@${version}#${name}`,
          type: 'library',
          name,
          version: part!,
          purl: `pkg:generic/${name}@${encodeURIComponent(part!)}`,
          ...opensslCpe(name, part),
        })),
    ].sort(byReference),
  };
}

/** By this name scanners find what is known to be wrong with it. */
function opensslCpe(name: string, version: string | undefined): { cpe?: string } {
  return name === 'openssl' ? { cpe: `cpe:2.3:a:openssl:openssl:${version}:*:*:*:*:*:*:*` } : {};
}

function licensed(id: string): { license: { id: string } }[] {
  return [{ license: { id } }];
}

export function byReference(a: Component, b: Component): number {
  return compare(a['bom-ref'], b['bom-ref']);
}

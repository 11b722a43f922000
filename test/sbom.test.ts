import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sbom } from '../packaging/release/sbom.ts';
import { root } from '../packaging/release/shipped.ts';

const version = '1.2.3';
const options = {
  version,
  epoch: 1_700_000_000,
  node: { version: process.versions.node, sha256: { x64: '11'.repeat(32), arm64: '22'.repeat(32) } },
  metafiles: [
    { outputs: { 'cryonet.mjs': { inputs: { 'node_modules/ws/wrapper.mjs': { bytesInOutput: 9 } } } } },
  ],
};

interface Part {
  name: string;
  version?: string;
  scope?: string;
  'bom-ref': string;
  components?: Part[];
  hashes?: { content: string }[];
}
const text = sbom(options);
const read = () => JSON.parse(text) as { components: Part[]; metadata: { component: Part } };

test('two runs are the same, to the byte', () => {
  assert.equal(sbom(options), text);
});

test('is about this version, has every dependency of package.json, and says which are in the programs', () => {
  const { components, metadata } = read();
  assert.equal(metadata.component.name, 'cryonet');
  assert.equal(metadata.component.version, version);
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const found = new Map(components.map((part) => [part.name, part]));
  for (const [name, wanted] of Object.entries(dependencies))
    assert.equal(found.get(name)?.version, wanted, name);
  for (const name of Object.keys(devDependencies)) {
    // Types of what the product uses come along with that.
    if (!name.startsWith('@types/')) assert.ok(!found.has(name), name);
  }
  assert.equal(found.get('ws')?.scope, 'required');
  assert.equal(found.get('werift')?.scope, 'excluded');
});

test('has the runtime of both architectures with its hashes, what it links in, and the addons', () => {
  const { components } = read();
  const node = components.find(({ name }) => name === 'node')!;
  assert.equal(node.version, process.versions.node);
  const hashes = node.components!.flatMap((part) => part.hashes?.map(({ content }) => content) ?? []);
  assert.deepEqual(hashes.sort(), ['11'.repeat(32), '22'.repeat(32)]);
  assert.equal(node.components!.find(({ name }) => name === 'openssl')?.version, process.versions.openssl);
  assert.equal(components.filter(({ name }) => name.endsWith('.node')).length, 2);
});

test('refuses to speak for a Node that it does not run in', () => {
  assert.throws(() => sbom({ ...options, node: { ...options.node, version: '1.0.0' } }), /Node 1\.0\.0/);
});

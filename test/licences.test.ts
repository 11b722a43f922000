import assert from 'node:assert/strict';
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { copyright } from '../packaging/release/copyright.ts';
import { thirdPartyLicences } from '../packaging/release/licences.ts';
import { nodeDatachannel, root } from '../packaging/release/shipped.ts';

const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const bundled = Object.keys(dependencies);
const onDisk = globSync(['node_modules/node-linux-*', 'node_modules/@node-datachannel/linux-*'], {
  cwd: root,
}).map((folder) => join(root, folder));
const folder = mkdtempSync(join(tmpdir(), 'cryonet-licences-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function metafileOf(paths: readonly string[], bytesInOutput = 1) {
  const inputs = Object.fromEntries(paths.map((path) => [path, { bytesInOutput }]));
  return { outputs: { 'program.mjs': { inputs: { ...inputs, 'control/main.ts': { bytesInOutput: 1 } } } } };
}

const metafile = metafileOf(bundled.map((name) => `node_modules/${name}/dist/deep/index.js`));

test('every package in a bundle or on disk is named once with its licence, and its text is there', () => {
  const text = thirdPartyLicences([metafile, metafile], onDisk);
  assert.ok(onDisk.length >= 2);
  const names = [...bundled, ...nodeDatachannel.parts.map(({ name }) => `${name} (in node-datachannel)`)];
  for (const name of names) {
    const listed = text.split('\n').filter((line) => line.startsWith(`  ${name} `));
    assert.equal(listed.length, 1, name);
    assert.match(listed[0]!, /\b(MIT|BSD-3-Clause|MPL-2\.0|Apache-2\.0|OpenSSL)$/, name);
  }
  for (const words of [
    'Permission is hereby granted, free of charge',
    'Mozilla Public License Version 2.0',
    'The Node.js license applies to all parts of Node.js',
    'This product includes cryptographic software written by Eric Young',
    'Copyright (c) 2015, Randall Stewart and Michael Tuexen',
  ])
    assert.ok(text.includes(words), words);
});

test('what left no byte in a program is not named', () => {
  assert.doesNotMatch(
    thirdPartyLicences([metafileOf(['node_modules/ws/x.js'], 0), metafileOf(['node_modules/zod/x.js'])], []),
    /\bws \d/,
  );
});

test('a package without a licence, or without a text, stops the build', () => {
  const packageIn = (name: string, fields: object) => {
    const path = join(folder, 'node_modules', name);
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, 'package.json'), JSON.stringify({ name, version: '1.0.0', ...fields }));
    return metafileOf([join(path, 'index.js')]);
  };
  assert.throws(
    () => thirdPartyLicences([packageIn('nameless', {})], []),
    /nameless 1\.0\.0 names no licence/,
  );
  assert.throws(
    () => thirdPartyLicences([packageIn('textless', { license: 'MIT' })], []),
    /textless 1\.0\.0 has no licence text/,
  );
  assert.throws(
    () => thirdPartyLicences([packageIn('node-datachannel', { license: 'MPL 2.0' })], []),
    /which libraries are linked into node-datachannel 1\.0\.0/,
  );
});

test('the libraries said to be in node-datachannel are those of its binary', () => {
  const binaries = globSync('node_modules/@node-datachannel/linux-*/node_datachannel.node', { cwd: root });
  assert.ok(binaries.length > 0);
  const version = (name: string) => nodeDatachannel.parts.find((part) => part.name === name)!.version!;
  for (const path of binaries) {
    const bytes = readFileSync(join(root, path));
    assert.ok(bytes.includes(`OpenSSL ${version('openssl')} `), path);
    assert.ok(bytes.includes(`libsrtp2 ${version('libsrtp')}`), path);
  }
  const sources = readFileSync(join(root, 'node_modules/node-datachannel/CMakeLists.txt'), 'utf8');
  assert.ok(sources.includes(`GIT_TAG "v${version('libdatachannel')}"`));
});

test('the copyright file has a paragraph for each licence that it names', () => {
  const paragraphs = copyright([metafile], onDisk).split('\n\n');
  const named = paragraphs
    .filter((paragraph) => paragraph.startsWith('Files:'))
    .flatMap((paragraph) => /^License: (.*)$/m.exec(paragraph)![1]!.split(' and '));
  const explained = paragraphs.flatMap((paragraph) => /^License: (.*)/.exec(paragraph)?.[1] ?? []);
  assert.deepEqual(explained.sort(), [...new Set(named)].sort());
  assert.equal(paragraphs.filter((paragraph) => paragraph.startsWith('Files:')).length, 4);
  for (const line of paragraphs.join('\n').split('\n')) assert.match(line, /^( |[A-Z][\w-]*:|$)/, line);
});

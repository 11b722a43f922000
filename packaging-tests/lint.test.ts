/** The packages by the rules of their distributions. */
import assert from 'node:assert/strict';
import { basename, join } from 'node:path';
import { shell } from '../netns-tests/lab/shell.ts';
import { architectures, packageFile, unpacked } from './lab/packages.ts';
import { packageStory } from './lab/story.ts';

const rpmlintFilter = join(import.meta.dirname, '..', 'packaging', 'files', 'rpmlint.toml');

packageStory('lintian has nothing to say of the deb', ['lintian'], async (lab) => {
  // What is built for tests is compressed in a way that Debian's archive does not take. Of the two architectures one
  // is enough: both are made from one manifest.
  const deb = join(lab.directory, basename(packageFile('deb')));
  const tree = await unpacked(lab, 'x64', '--raw-extract');
  await shell`dpkg-deb --root-owner-group -Zgzip -z1 --build ${tree} ${deb}`;
  const { exitCode, stdout } = await shell({
    nothrow: true,
  })`lintian --allow-root --fail-on error,warning ${deb}`;
  assert.equal(exitCode, 0, stdout);
});

packageStory('rpmlint has nothing to say of the rpms', ['rpmlint'], async () => {
  const files = architectures.map((arch) => packageFile('rpm', 'first', arch));
  const { exitCode, stdout, stderr } = await shell({
    nothrow: true,
  })`rpmlint --strict --config ${rpmlintFilter} ${files}`;
  assert.equal(exitCode, 0, stdout + stderr);
  assert.match(stdout, new RegExp(`${files.length} packages`));
});

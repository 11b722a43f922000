/** Whoever builds the packages again has the same ones. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { architectures, buildElsewhere, packageFile } from './lab/packages.ts';
import { packageStory } from './lab/story.ts';

packageStory('another directory, mask, language and time give the same bytes', [], async (lab) => {
  const out = join(lab.directory, 'again');
  await buildElsewhere(out, [], {
    prepare: 'umask 077',
    environment: { TZ: 'Asia/Kathmandu', LANG: 'C', LC_ALL: 'C.UTF-8', SOURCE_DATE_EPOCH: undefined },
  });
  for (const arch of architectures) {
    for (const format of ['deb', 'rpm'] as const) {
      const file = packageFile(format, 'first', arch);
      assert.equal(digest(join(out, basename(file))), digest(file), basename(file));
    }
  }
});

function digest(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

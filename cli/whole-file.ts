/** Writes a file so that whoever reads it finds all of the old text or all of the new one. */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { reasonOf, systemError } from '../protocol/errors.ts';

/** Everybody may read it. Throws `bad_config` or `unavailable`; then the file is as it was. */
export function writeWhole(path: string, text: string): void {
  // The name begins with a dot and ends otherwise, so that what looks for files of a kind does not find it.
  const draft = join(dirname(path), `.${basename(path)}.${process.pid}`);
  try {
    writeFileSync(draft, text, { mode: 0o644, flag: 'wx' });
    renameSync(draft, path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') rmSync(draft, { force: true });
    throw systemError(`cannot write ${path}: ${reasonOf(cause)}`, cause);
  }
}

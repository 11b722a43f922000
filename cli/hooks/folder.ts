/** The hooks of a folder, as run-parts(8) takes them: executable files whose names have no dot. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { reasonOf } from '../../protocol/errors.ts';

interface Hooks {
  /** Paths, in the order of their names. */
  readonly paths: readonly string[];
  /** Why others are not run, a line each. */
  readonly refused: readonly string[];
}

/** Hooks of one folder. */
const maxHooks = 64;

/** Bits of a mode: those that others than the owner write by, and those to execute. */
const othersWrite = 0o022;
const execute = 0o111;

/** What somebody else than root, or than this user, can change is not run, and neither is anything in a folder that is so. */
export function hooksIn(folder: string, uid: number = process.getuid?.() ?? 0): Hooks {
  try {
    const why = foreignTo(uid, folder);
    if (why !== undefined) return { paths: [], refused: [`no hook of ${folder} is run: ${why}`] };
    const paths: string[] = [];
    const refused: string[] = [];
    for (const name of readdirSync(folder).sort()) {
      // Left behind by editors and package managers.
      if (!/^[A-Za-z0-9_-]+$/.test(name)) continue;
      const path = join(folder, name);
      const reason = reasonAgainst(uid, path);
      if (reason !== undefined) refused.push(`${path} is not run: ${reason}`);
      else if (paths.length < maxHooks) paths.push(path);
    }
    return { paths, refused };
  } catch (error) {
    return { paths: [], refused: [`no hook of ${folder} is run: ${reasonOf(error)}`] };
  }
}

function reasonAgainst(uid: number, path: string): string | undefined {
  try {
    const status = statSync(path);
    if (!status.isFile()) return 'it is no file';
    if ((status.mode & execute) === 0) return `it is not executable (chmod 0755 ${path})`;
    return foreignTo(uid, path);
  } catch (error) {
    return reasonOf(error);
  }
}

function foreignTo(uid: number, path: string): string | undefined {
  const status = statSync(path);
  if (status.uid !== 0 && status.uid !== uid) return `it is not root’s (chown root ${path})`;
  if ((status.mode & othersWrite) !== 0) return `others may write to it (chmod go-w ${path})`;
  return undefined;
}

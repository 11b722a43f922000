/**
 * Locks a state directory for one node at a time, by flock(2) on the folder itself. That writes nothing, so it works on a
 * full or read-only disk, and the lock ends with the process, however that ends.
 */
import { closeSync, constants, mkdirSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { denialOf } from '../../protocol/denial.ts';
import { CryonetError, reasonOf, systemError } from '../../protocol/errors.ts';
import { refuseForeign } from '../../protocol/own-folder.ts';
import { loadServiceAddon } from '../../service/native.ts';
import { readIfThere, writeWhole } from './kept-files.ts';

export interface StateLock {
  /** Why the folder could not be locked although no process has the lock: its file system has none. Undefined if it is
   *  locked. */
  readonly lacking: string | undefined;
  /** Removes `pid`, then unlocks. Idempotent, never throws. A killed process leaves a `pid`, which alone means nothing. */
  release(): void;
}

/** Throws `state_in_use` if another process has the lock, with its process ID if known; else as `openStateDirectory`. */
export function lockStateDirectory(folder: string): StateLock {
  let descriptor: number;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    refuseForeign(folder, 'name another --state-dir');
    descriptor = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (cause) {
    if (cause instanceof CryonetError) throw cause;
    const reason = `${reasonOf(cause)}${denialOf(cause, 'write there')}`;
    throw systemError(`--state-dir ${folder} cannot be used: ${reason}`, cause);
  }
  let open = true;
  const release = () => {
    if (open) closeSync(descriptor);
    open = false;
  };
  try {
    loadServiceAddon().lock(descriptor);
  } catch (cause) {
    release();
    if ((cause as NodeJS.ErrnoException).code !== 'EAGAIN') return { lacking: reasonOf(cause), release };
    const who = holder(folder);
    throw new CryonetError(
      'state_in_use',
      `another cryonet${who === undefined ? '' : ` (pid ${who})`} uses ${folder}: stop it, or give this one its own --state-dir and --runtime-dir`,
      { cause },
    );
  }
  const pid = join(folder, 'pid');
  try {
    writeWhole(pid, `${process.pid}\n`);
  } catch {
    // The file only helps to say which process has the folder.
  }
  return {
    lacking: undefined,
    release() {
      if (!open) return;
      try {
        rmSync(pid, { force: true });
      } catch {
        // The disk is read-only by now.
      }
      release();
    },
  };
}

/** The process ID in `pid`, if that process is alive. */
function holder(folder: string): number | undefined {
  const pid = Number(readIfThere(join(folder, 'pid')));
  if (!Number.isSafeInteger(pid) || pid < 1) return undefined;
  try {
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? pid : undefined;
  }
}

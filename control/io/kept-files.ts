/** Files that are whole or missing, whenever a process or the power is cut. A file is written beside its place under a
 *  unique name, since two processes may do so at the same time, then synced, and put into place by one system call. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** Milliseconds after which a file beside its place counts as left over by a process that was cut short. */
const leftOverAge = 60_000;

const leftOver = /\.\d+\.[0-9a-f]{12}\.new$/;

/** The content of a file; undefined if it does not exist. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whose a file is, and what others may do with it. */
export interface Rights {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/** A file that is written, and not in its place yet. */
export interface Pending {
  /** Throws the system's error; then it can still be dropped. */
  place(): void;
  /** Idempotent, never throws. */
  drop(): void;
}

/** Writes a file, replacing one that is there. By default it is for its user alone. */
export function writeWhole(path: string, content: string, rights?: Rights): void {
  const pending = prepareWhole(path, content, rights);
  try {
    pending.place();
  } catch (error) {
    pending.drop();
    throw error;
  }
}

/** The same, up to what may find a disk full or a right missing. */
export function prepareWhole(path: string, content: string, rights?: Rights): Pending {
  const beside = writeBeside(path, content, rights);
  return {
    place() {
      renameSync(beside, path);
      syncFolder(path);
    },
    drop: () => rmSync(beside, { force: true }),
  };
}

/** Writes a file unless there is one, and returns what the file has then. Of two processes the first one wins. */
export function createWhole(path: string, content: string): string {
  const beside = writeBeside(path, content);
  try {
    linkSync(beside, path);
    syncFolder(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // File systems without hard links, such as FAT and some of FUSE. A cut here may leave half a file.
    if (code === 'EPERM' || code === 'ENOTSUP' || code === 'ENOSYS') createHere(path, content);
    else if (code !== 'EEXIST') throw error;
  } finally {
    rmSync(beside, { force: true });
  }
  return readFileSync(path, 'utf8');
}

/** Appends lines to a file, which is made if it does not exist. If its last line was cut short, the first of these begins
 *  a new line. An append that fails leaves nothing behind. */
export function appendLines(path: string, lines: readonly string[]): void {
  const descriptor = openSync(path, 'a+', 0o600);
  try {
    const { size } = fstatSync(descriptor);
    if (lines.length === 0) return;
    const last = Buffer.alloc(1);
    const whole = size === 0 || (readSync(descriptor, last, 0, 1, size - 1) === 1 && last[0] === 0x0a);
    const bytes = Buffer.from(`${whole ? '' : '\n'}${lines.join('\n')}\n`);
    let written = 0;
    try {
      while (written < bytes.length) written += writeSync(descriptor, bytes, written);
    } catch (error) {
      if (written > 0 && fstatSync(descriptor).size === size + written) ftruncateSync(descriptor, size);
      throw error;
    }
  } finally {
    closeSync(descriptor);
  }
}

/** Removes files that processes left over in `folder` when they were cut short. Never throws. */
export function sweep(folder: string, now: number): void {
  try {
    for (const name of readdirSync(folder).filter((each) => leftOver.test(each))) {
      const path = join(folder, name);
      if (statSync(path).mtimeMs < now - leftOverAge) rmSync(path, { force: true });
    }
  } catch {
    // They take little room, and the next start looks again.
  }
}

function writeBeside(path: string, content: string, rights?: Rights): string {
  // What reads all files of a kind in a folder passes over those with a dot in front.
  const name = `.${basename(path)}.${process.pid}.${randomBytes(6).toString('hex')}.new`;
  const beside = join(dirname(path), name);
  try {
    writeFileSync(beside, content, { mode: 0o600, flag: 'wx', flush: true });
    if (rights !== undefined) give(beside, rights);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
  return beside;
}

/** The owner first: the kernel takes rights away from a file that changes hands (chown(2)). */
function give(path: string, { uid, gid, mode }: Rights): void {
  const descriptor = openSync(path, 'r+');
  try {
    const now = fstatSync(descriptor);
    if (now.uid !== uid || now.gid !== gid) fchownSync(descriptor, uid, gid);
    fchmodSync(descriptor, mode);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function createHere(path: string, content: string): void {
  try {
    writeFileSync(path, content, { mode: 0o600, flag: 'wx', flush: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** Syncs the folder, so that the file's name is on the disk, too (fsync(2)). */
function syncFolder(path: string): void {
  const descriptor = openSync(dirname(path), 'r');
  try {
    fsyncSync(descriptor);
  } catch {
    // Some file systems do not sync folders. The file itself is synced.
  } finally {
    closeSync(descriptor);
  }
}

/** Files that are whole or not there, whatever is cut short: written beside their place, synced, and put there at once.
 *  Their names beside it are unlike each other: two processes may do it at the same time. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
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

/** Milliseconds after which a file beside its place is left over from a process that was cut short. */
const leftOverAge = 60_000;

const leftOver = /\.\d+\.[0-9a-f]{12}\.new$/;

/** Undefined where it is not there. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Takes the place of what is there. */
export function writeWhole(path: string, content: string): void {
  const beside = writeBeside(path, content);
  try {
    renameSync(beside, path);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
  syncFolder(path);
}

/** Puts `content` there, unless something is, and gives what is there then: whoever is first decides. */
export function createWhole(path: string, content: string): string {
  const beside = writeBeside(path, content);
  try {
    linkSync(beside, path);
    syncFolder(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // File systems without hard links: FAT, some of FUSE. There a start that is cut short may leave half a file.
    if (code === 'EPERM' || code === 'ENOTSUP' || code === 'ENOSYS') createHere(path, content);
    else if (code !== 'EEXIST') throw error;
  } finally {
    rmSync(beside, { force: true });
  }
  return readFileSync(path, 'utf8');
}

/** Appends lines to a file that is made where it is not there. A last line that was cut short is left as it is, and the
 *  first of these begins a new one; of an append that fails nothing stays. */
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

/** Removes what processes that were cut short left in `folder`. Never throws. */
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

function writeBeside(path: string, content: string): string {
  const name = `${basename(path)}.${process.pid}.${randomBytes(6).toString('hex')}.new`;
  const beside = join(dirname(path), name);
  try {
    writeFileSync(beside, content, { mode: 0o600, flag: 'wx', flush: true });
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
  return beside;
}

function createHere(path: string, content: string): void {
  try {
    writeFileSync(path, content, { mode: 0o600, flag: 'wx', flush: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** So that the name is on the disk, too: fsync(2). */
function syncFolder(path: string): void {
  const descriptor = openSync(dirname(path), 'r');
  try {
    fsyncSync(descriptor);
  } catch {
    // Some file systems do not sync folders; the file itself is.
  } finally {
    closeSync(descriptor);
  }
}

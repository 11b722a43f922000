/** The tree of a package, with fixed modes and times. */
import {
  chmodSync,
  copyFileSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Content } from './manifest.ts';

/** `epoch`: seconds. */
export function stage(folder: string, contents: readonly Content[], epoch: number): void {
  for (const { dst, type, src, text } of contents) {
    const path = join(folder, dst);
    mkdirSync(type === 'dir' ? path : dirname(path), { recursive: true });
    if (type === 'link') symlinkSync(src!, path);
    else if (src !== undefined) copyFileSync(src, path);
    else if (text !== undefined) writeFileSync(path, text);
    else if (type !== 'dir') throw new Error(`${dst} has no content`);
  }
  // Folders that only lead somewhere have no entry of their own.
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
    if (entry.isDirectory()) chmodSync(join(entry.parentPath, entry.name), 0o755);
  chmodSync(folder, 0o755);
  for (const { dst, type, mode } of contents) if (type !== 'link') chmodSync(join(folder, dst), mode);
  setTimes(folder, epoch);
}

/** Of everything in `folder` and of itself. */
export function setTimes(folder: string, epoch: number): void {
  const entries = readdirSync(folder, { recursive: true }) as string[];
  for (const entry of ['', ...entries]) lutimesSync(join(folder, entry), epoch, epoch);
}

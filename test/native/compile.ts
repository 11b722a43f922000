import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const nativeSources = join(import.meta.dirname, '../../dataplane/native/src');

/** Compiles C files of this folder, or of `nativeSources`, into a program that is removed when the process exits. */
export function compile(name: string, sources: readonly string[], flags: readonly string[] = []): string {
  const folder = mkdtempSync(join(tmpdir(), 'cryonet-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const output = join(folder, name);
  const common = ['-std=c17', '-D_GNU_SOURCE', '-O1', '-g', '-pthread', '-Wall', '-Wextra', '-Werror'];
  const compiler = process.env.CC || 'cc';
  execFileSync(compiler, [...common, ...flags, '-I', nativeSources, '-o', output, ...sources], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: 60_000,
  });
  return output;
}

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';

export const nativeSources = join(import.meta.dirname, '../../dataplane/native/src');

/** Compiles C files of this folder, or of `nativeSources`, into a program that is removed when the process exits. */
export function compile(name: string, sources: readonly string[], flags: readonly string[] = []): string {
  const output = join(temporary(), name);
  runCompiler(['-o', output, ...sources], flags, import.meta.dirname);
  return output;
}

/** The object files of C files of this folder, or of `nativeSources`, for several programs; gone when the process
 *  exits. */
export function compileObjects(sources: readonly string[], flags: readonly string[] = []): string[] {
  const folder = temporary();
  runCompiler(['-c', ...sources.map((source) => resolve(import.meta.dirname, source))], flags, folder);
  return sources.map((source) => join(folder, basename(source).replace(/\.c$/, '.o')));
}

function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'cryonet-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function runCompiler(words: readonly string[], flags: readonly string[], cwd: string): void {
  const common = ['-std=c17', '-D_GNU_SOURCE', '-O1', '-g', '-pthread', '-Wall', '-Wextra', '-Werror'];
  const compiler = process.env.CC || 'cc';
  execFileSync(compiler, [...common, ...flags, '-I', nativeSources, ...words], {
    cwd,
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: 180_000,
  });
}

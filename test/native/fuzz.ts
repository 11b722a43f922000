/**
 * Fuzz targets, bounded so that they are tests: clang's libFuzzer with AddressSanitizer and UndefinedBehaviorSanitizer.
 *
 * A target is fuzz/<name>.c with an LLVMFuzzerTestOneInput that aborts where what it promises does not hold. Seeds
 * are the files of fuzz/<name>-corpus, `-fuzz` of the name left out, and are never written to.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nativeSources } from './compile.ts';

const folder = join(import.meta.dirname, 'fuzz');
const sanitizers = ['-fsanitize=fuzzer,address,undefined', '-fno-sanitize-recover=all'];

/** What an input frees is found for thousands of inputs after it. The default, 256 MB, takes a third longer: each
 *  allocation is of memory that no cache has. */
const environment = { ASAN_OPTIONS: 'quarantine_size_mb=16' };

/** Milliseconds of a whole run, below the time that a patient test may take (`test/run.ts`). */
const patience = 1_200_000;

/** Why there is no fuzzing here, or false: for `test(…, { skip: noFuzzer }, …)`. With CI=true nothing is a reason. */
export const noFuzzer: string | false = inTemporary((directory) => {
  if (process.env.CI === 'true') return false;
  const source = join(directory, 'empty.c');
  writeFileSync(source, 'int LLVMFuzzerTestOneInput(void) { return 0; }\n');
  const { error, status } = spawnSync('clang', [...sanitizers, '-o', join(directory, 'empty'), source]);
  if (error !== undefined) return 'no clang';
  return status === 0 ? false : 'clang without libFuzzer (Debian: libclang-rt-14-dev)';
});

export type FuzzOptions = {
  /** Inputs to try, seeds aside. */
  executions: number;
  /** Compiler flags, libraries among them. */
  flags?: readonly string[];
  /** Bytes of the longest input. */
  maxLength?: number;
};

/** Compiles fuzz/<name>.c with `sources` (relative to that folder, or absolute) and runs it. Fails with what the
 *  target said and the input that made it, in hex, to be given to the target again. */
export function fuzz(name: string, sources: readonly string[], options: FuzzOptions): void {
  const { executions, flags = [], maxLength = 4096 } = options;
  inTemporary((directory) => {
    const program = join(directory, name);
    const warnings = ['-std=c17', '-D_GNU_SOURCE', '-O2', '-g', '-pthread', '-Wall', '-Wextra', '-Werror'];
    const files = [`${name}.c`, ...sources];
    const compiler = ['-I', nativeSources, ...warnings, ...sanitizers, '-o', program, ...files, ...flags];
    const compiled = spawnSync('clang', compiler, { cwd: folder, encoding: 'utf8', timeout: patience });
    assert.equal(compiled.status, 0, compiled.error ?? compiled.stderr);

    const found = join(directory, 'found');
    mkdirSync(found);
    const seeds = join(folder, `${name.replace(/-fuzz$/, '')}-corpus`);
    const args = [
      `-runs=${executions}`,
      `-max_len=${maxLength}`,
      '-seed=1',
      '-timeout=10',
      `-artifact_prefix=${directory}/input-`,
      found,
      ...(existsSync(seeds) ? [seeds] : []),
    ];
    const { status, signal, stderr } = spawnSync(program, args, {
      env: { ...process.env, ...environment },
      encoding: 'utf8',
      timeout: patience,
      killSignal: 'SIGKILL',
      maxBuffer: 64 * 1024 * 1024,
    });
    const inputs = globSync(join(directory, 'input-*')).map((file) => readFileSync(file).toString('hex'));
    const end = signal ?? `exit ${status}`;
    assert.equal(status, 0, `${end}\n${stderr.slice(-5000)}\ninput: ${inputs.join(' ')}`);
    const done = Number(/^Done (\d+) runs/m.exec(stderr)?.[1]);
    assert.ok(done >= executions, `${done} of ${executions} inputs were tried`);
  });
}

function inTemporary<T>(use: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'cryonet-fuzz-'));
  try {
    return use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

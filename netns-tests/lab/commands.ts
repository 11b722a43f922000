/**
 * Short commands, each started by one shell that stays: to start a process this one would be copied, and it is so large
 * that the copy takes longer than most commands do.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { quoted } from '../../packaging/quoted.ts';

/** Of one command: more than the heaviest (an installation on a busy machine) takes. */
const boundMilliseconds = 300_000;

export interface Output {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

export interface CommandOptions {
  /** What the command reads; nothing without it. */
  readonly input?: string;
  /** An exit code that is not 0 is no failure. */
  readonly nothrow?: boolean;
}

type Word = string | number;

/** A template tag for commands of bash, in which words that are put in are quoted, and lists of words are several. Rejects
 *  with what was said on standard error where a command does not exit with 0. */
export interface Commands {
  (pieces: TemplateStringsArray, ...words: readonly (Word | readonly Word[])[]): Promise<Output>;
  (options: CommandOptions): Commands;
}

/** Commands of bash behind words such as `nsenter -n`, which are asked for at each command. */
export function commandsBehind(enter: () => readonly string[]): Commands {
  const commands = (options: CommandOptions): Commands =>
    ((first: TemplateStringsArray | CommandOptions, ...words: readonly (Word | readonly Word[])[]) =>
      'raw' in first
        ? run([...enter(), 'bash', '-c', `set -euo pipefail; ${textOf(first, words)}`], options)
        : commands({ ...options, ...first })) as Commands;
  return commands({});
}

/** Runs a program, without a shell. Rejects as `Commands` do. */
export async function run(
  words: readonly string[],
  { input, nothrow = false }: CommandOptions = {},
): Promise<Output> {
  starter ??= new Starter();
  const output = await starter.run(words, input);
  if (output.exitCode !== 0 && !nothrow) {
    throw new Error(`exit ${output.exitCode} of ${words.join(' ')}\n${output.stderr}`);
  }
  return output;
}

function textOf(pieces: TemplateStringsArray, words: readonly (Word | readonly Word[])[]): string {
  const put = words.map((word) => [word].flat().map(String).map(quoted).join(' '));
  return pieces.reduce((text, piece, n) => `${text}${put[n - 1]}${piece}`);
}

interface Running {
  readonly resolve: (exitCode: number) => void;
  readonly reject: (error: Error) => void;
}

let starter: Starter | undefined;

/** The shell that stays. It starts what it is told in the background, and says the number of each that ended, and its exit
 *  code. What commands read and write is in files. */
class Starter {
  readonly #folder = mkdtempSync(join(tmpdir(), 'cryonet-commands-'));
  readonly #shell = spawn('sh', [], { stdio: ['pipe', 'pipe', 'inherit'] });
  readonly #running = new Map<number, Running>();
  #started = 0;

  constructor() {
    process.once('exit', () => rmSync(this.#folder, { recursive: true, force: true }));
    createInterface({ input: this.#shell.stdout }).on('line', (line) => {
      const [number, exitCode] = line.split(' ').map(Number);
      this.#running.get(number!)?.resolve(exitCode!);
    });
    this.#shell.once('exit', (code, signal) => {
      for (const { reject } of this.#running.values())
        reject(new Error(`the shell ended: ${signal ?? code}`));
      starter = undefined;
    });
    this.#shell.stdin.on('error', () => {});
    // What runs keeps this process alive by its time-out.
    this.#shell.unref();
    for (const stream of [this.#shell.stdin, this.#shell.stdout]) (stream as Socket).unref();
  }

  async run(words: readonly string[], input: string | undefined): Promise<Output> {
    const number = ++this.#started;
    const path = (stream: string) => join(this.#folder, `${number}.${stream}`);
    const [read, written, said] = [path('in'), path('out'), path('err')];
    if (input !== undefined) writeFileSync(read, input);
    const files = `<${input === undefined ? '/dev/null' : read} >${written} 2>${said}`;
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const timer = setTimeout(() => reject(new Error(`no end of ${words.join(' ')}`)), boundMilliseconds);
    this.#running.set(number, { resolve, reject });
    try {
      this.#shell.stdin.write(`{ ${words.map(quoted).join(' ')} ${files}; echo ${number} $?; } &\n`);
      const exitCode = await promise;
      return { exitCode, stdout: readFileSync(written, 'utf8'), stderr: readFileSync(said, 'utf8') };
    } finally {
      clearTimeout(timer);
      this.#running.delete(number);
      for (const file of [read, written, said]) rmSync(file, { force: true });
    }
  }
}

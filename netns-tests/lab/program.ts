/** A program running in a namespace, its output kept in one file. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { waitFor } from './wait.ts';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ProgramOptions {
  /** Name in failure reports. */
  readonly label: string;
  /** Namespace to run in; without it the machine's own. */
  readonly namespace?: string;
  readonly command: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
  readonly directory: string;
  /** Standard output and standard error go here, appended. */
  readonly log: string;
}

export class Program {
  readonly label: string;
  readonly log: string;
  /** Resolves once the program is gone. */
  readonly exited: Promise<Exit>;
  #child: ChildProcess;
  #exit: Exit | undefined;

  constructor(options: ProgramOptions) {
    this.label = options.label;
    this.log = options.log;
    const [file, ...rest] = options.namespace
      ? ['ip', 'netns', 'exec', options.namespace, ...options.command]
      : options.command;
    const output = openSync(options.log, 'a');
    this.#child = spawn(file!, rest, {
      cwd: options.directory,
      env: { ...process.env, ...options.environment },
      stdio: ['ignore', output, output],
    });
    closeSync(output);
    this.exited = new Promise((resolve) => {
      this.#child.once('error', () => resolve({ code: null, signal: null }));
      this.#child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    void this.exited.then((exit) => {
      this.#exit = exit;
    });
  }

  /** `ip netns exec` becomes the program, so this is the program's own. */
  get pid(): number {
    return this.#child.pid!;
  }

  get running(): boolean {
    return this.#exit === undefined;
  }

  /** Everything it wrote so far. */
  get output(): string {
    return readFileSync(this.log, 'utf8');
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Waits until the output matches. */
  async says(pattern: RegExp, bound = 30_000): Promise<string> {
    return waitFor(
      `${this.label} to say ${pattern}`,
      bound,
      () => this.output,
      (text) => pattern.test(text),
    );
  }

  /** Waits until it has ended by itself, and tells how. */
  async ends(bound = 30_000): Promise<Exit> {
    await waitFor(
      `${this.label} to end`,
      bound,
      () => this.#exit,
      (exit) => exit !== undefined,
    );
    return this.#exit!;
  }

  /** Signals it and waits for its end. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', bound = 15_000): Promise<Exit> {
    if (this.running) this.signal(signal);
    return this.ends(bound);
  }
}

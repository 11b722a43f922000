/**
 * The laboratory: owns every namespace, program and file that a story makes, and leaves nothing behind.
 *
 *   namespace  own interfaces, addresses, routes, firewall; named cnlab-<pid>-<random>-<label>
 *   program    runs in a namespace; whatever it starts there is found by its namespace, not by its name
 *   directory  state, sockets, logs
 *
 * Teardown: the steps given to `defer`, last first; every process in our namespaces (SIGKILL, until none is
 * left); the namespaces, and with them their interfaces; the directory. It is synchronous, so that the same
 * one serves the end of a story, a signal and an uncaught error.
 */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Namespace } from './namespace.ts';
import { Program, type ProgramOptions } from './program.ts';
import { waitFor } from './wait.ts';

const live = new Set<Lab>();
let signalsCaught = false;

/** A signal must not leave namespaces behind: exit in the ordinary way, whose listener tears everything down. */
function catchSignals(): void {
  if (signalsCaught) return;
  signalsCaught = true;
  process.on('exit', () => {
    for (const lab of live) lab.close();
  });
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.once(signal, () => process.exit(code));
  }
}

export class Lab implements AsyncDisposable {
  readonly name: string;
  readonly directory: string;
  readonly programs: Program[] = [];
  /** What was measured, in words, shown beside the story's name. */
  readonly figures: string[] = [];
  /** In the order they were made. */
  readonly namespaces: Namespace[] = [];
  #namespaces: { name: string; inode: number }[] = [];
  #undo: (() => void)[] = [];

  constructor() {
    catchSignals();
    this.name = `cnlab-${process.pid.toString(36)}-${randomBytes(3).toString('hex')}`;
    this.directory = mkdtempSync(join(tmpdir(), `${this.name}-`));
    live.add(this);
  }

  /** A new namespace with `lo` up and nothing else. `label` must be new in this lab. */
  async namespace(label: string): Promise<Namespace> {
    const namespace = new Namespace(this, label, `${this.name}-${label}`);
    // Synchronous: a signal must not find a namespace half made.
    const { status, stderr } = spawnSync('ip', ['netns', 'add', namespace.name], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`ip netns add ${namespace.name}: ${stderr}`);
    this.#namespaces.push({ name: namespace.name, inode: statSync(`/run/netns/${namespace.name}`).ino });
    this.namespaces.push(namespace);
    await namespace.configure('link set lo up');
    return namespace;
  }

  /** Starts a program; the lab ends it at teardown where the story has not. */
  start(options: Omit<ProgramOptions, 'directory' | 'log'>): Program {
    const log = join(this.directory, `${options.label}.log`);
    const program = new Program({ ...options, directory: this.directory, log });
    this.programs.push(program);
    return program;
  }

  /** Something to undo at teardown, last first. Must not throw. */
  defer(undo: () => void): void {
    this.#undo.push(undo);
  }

  /** The ends of all logs, for the report of a failed story. */
  logTails(lines = 60): string {
    const tails = new Map(this.programs.map((program) => [program.log, program]));
    return [...tails.values()]
      .map((program) => {
        const tail = program.output.trimEnd().split('\n').slice(-lines).join('\n');
        return `──── ${program.label} ────\n${tail || '(silent)'}\n`;
      })
      .join('');
  }

  /** Tears everything down. Idempotent, never throws. */
  close(): void {
    if (!live.delete(this)) return;
    for (const undo of this.#undo.reverse()) undo();
    for (const program of this.programs) if (program.running) program.signal('SIGKILL');
    for (let round = 0; round < 100; round++) {
      const processes = this.#processes();
      if (processes.length === 0) break;
      for (const { pid } of processes) killQuietly(pid);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
    spawnSync('ip', ['-batch', '-', '-force'], {
      input: this.#namespaces.map(({ name }) => `netns del ${name}\n`).join(''),
    });
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Tears down and makes sure of it. Rejects naming what is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await waitFor(
      `nothing of ${this.name} to be left`,
      5_000,
      () => this.leftovers(),
      (left) => left.length === 0,
    );
  }

  /** Namespaces, processes (by the namespace they live in), interfaces and files of ours that still exist. */
  leftovers(): string[] {
    const names = readdirSync('/run/netns').filter((entry) => entry.startsWith(this.name));
    const files = readdirSync(tmpdir()).filter((entry) => entry.startsWith(this.name));
    return [
      ...names.map((name) => `namespace ${name}`),
      ...this.#processes().map(({ pid, home }) => `process ${pid} in ${home}`),
      ...files.map((file) => `${tmpdir()}/${file}`),
    ];
  }

  /** All that run in our namespaces. Looked for here: to start `ip netns pids` for each takes more than ten times as long. */
  #processes(): { pid: number; home: string }[] {
    const homes = new Map(this.#namespaces.map(({ name, inode }) => [`net:[${inode}]`, name]));
    return readdirSync('/proc')
      .filter((entry) => /^\d+$/.test(entry))
      .flatMap((pid) => {
        const home = homes.get(namespaceOf(pid));
        return home === undefined ? [] : [{ pid: Number(pid), home }];
      });
  }
}

function namespaceOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return '';
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It went by itself.
  }
}

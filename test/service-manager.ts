/** What a service manager does for a test: hears what a process tells it, and starts a process as a service. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { bareEnvironment } from './bare-environment.ts';
import { compile } from './native/compile.ts';
import { waitFor } from './native/wait.ts';
import { temporaryFolder } from './socket-pair.ts';

const root = join(import.meta.dirname, '..');
let program: string | undefined;

export interface Manager {
  /** NOTIFY_SOCKET. */
  readonly address: string;
  /** Messages so far; a line feed in one is a space. */
  readonly heard: readonly string[];
}

/** A real datagram socket, at a path of its own unless `address` is given. Closed with the test. */
export async function openManager(context: TestContext, address?: string): Promise<Manager> {
  program ??= compile('datagrams', ['datagrams.c']);
  const at = address ?? join(temporaryFolder(context), 'notify');
  const receiver = spawn(program, [at], { stdio: ['ignore', 'pipe', 'inherit'] });
  context.after(() => receiver.kill('SIGKILL'));
  const lines = linesOf(receiver);
  await waitFor('the receiver to be bound', () => lines.length > 0);
  return {
    address: at,
    get heard() {
      return lines.slice(1);
    },
  };
}

export interface Service {
  readonly child: ChildProcess;
  readonly lines: readonly string[];
  /** Resolves with its end. */
  ended(): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/** Runs `program` of this project with no environment but `env`. `listening`: a descriptor that it is given as the socket
 *  `dataplane`. */
export function startService(
  context: TestContext,
  path: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  listening?: number,
): Service {
  // The shell becomes the program and keeps its process ID, which LISTEN_PID has to be.
  const named = listening === undefined ? '' : 'LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=dataplane ';
  const script = `${named}exec "$0" --disable-warning=ExperimentalWarning "$@"`;
  const child = spawn('/bin/sh', ['-c', script, process.execPath, join(root, path), ...args], {
    env: bareEnvironment(env),
    stdio: ['ignore', 'ignore', 'pipe', ...(listening === undefined ? [] : [listening])],
  });
  context.after(() => child.kill('SIGKILL'));
  let end: Awaited<ReturnType<Service['ended']>> | undefined;
  child.once('close', (code, signal) => {
    end = { code, signal };
  });
  return { child, lines: linesOf(child), ended: () => waitFor(`${path} to end`, () => end, 15_000) };
}

function linesOf({ stdout, stderr }: ChildProcess): string[] {
  const lines: string[] = [];
  let rest = '';
  (stdout ?? stderr)?.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop()!;
    lines.push(...parts);
  });
  return lines;
}

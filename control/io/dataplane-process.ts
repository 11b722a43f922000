/**
 * Finds the dataplane that serves the socket, or starts one as a child. The child has a process session of its own, so that
 * it outlives a control that dies; it ends by itself when no control comes back.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { dataplaneFlags, variablesOf } from '../../protocol/command-line.ts';
import { CryonetError, type ErrorCode, errorCodes } from '../../protocol/errors.ts';
import { refuseForeign } from '../../protocol/own-folder.ts';
import { dataplaneSocket } from '../../protocol/paths.ts';
import type { WebrtcEngine } from '../../protocol/webrtc-engine.ts';
import type { ControlConfig } from '../config.ts';

/** Milliseconds. */
const startTimeout = 10_000;

/** Characters of the message in which a child says how its start went. */
const longestWord = 1000;

/** The dataplane's program: beside a bundled control, or in the checkout. */
const program = ['cryonet-dataplane.mjs', '../../dataplane/main.ts']
  .map((place) => fileURLToPath(new URL(place, import.meta.url)))
  .find((place) => existsSync(place))!;

/** The variables of control's environment that a dataplane gets. Others may be secrets, or are for control alone. */
const passing: ReadonlySet<string> = new Set([
  ...variablesOf(dataplaneFlags),
  ...['PATH', 'HOME', 'TMPDIR', 'TZ', 'LANG', 'LC_ALL', 'LD_LIBRARY_PATH', 'LD_PRELOAD'],
  ...['NODE_OPTIONS', 'NODE_COMPILE_CACHE', 'JOURNAL_STREAM'],
  ...['CRYONET_ADDON', 'CRYONET_UNVERIFIED_DTLS'],
]);

export interface StartOptions {
  readonly socket: string;
  readonly webrtc: WebrtcEngine;
  readonly logLevel: string;
  readonly logFormat: string;
}

/** The socket of the dataplane, and how to start one. */
export function startOptions(config: ControlConfig): StartOptions {
  const { runtimeDirectory, webrtc, logLevel, logFormat } = config;
  return { socket: config.dataplaneSocket ?? dataplaneSocket(runtimeDirectory), webrtc, logLevel, logFormat };
}

/** A connection to the dataplane at `path`; undefined if nobody serves it. Throws `bad_config` if another user may have
 *  made the socket: a dataplane is told the credentials of TURN servers and sees all packets. */
export async function connectDataplane(path: string): Promise<Socket | undefined> {
  refuseForeign(path, 'set XDG_RUNTIME_DIR, or name another --runtime-dir or --dataplane-socket');
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      resolve(socket);
    });
    socket.once('error', () => resolve(undefined));
  });
}

/** Starts a dataplane unless one serves the socket. Resolves with the process ID of the one that it started. Throws as
 *  `startDataplane` does. */
export async function ensureDataplane(options: StartOptions): Promise<number | undefined> {
  const running = await connectDataplane(options.socket);
  if (running === undefined) return startDataplane(options);
  running.destroy();
  return undefined;
}

/** Starts a dataplane and waits until it serves its socket. If it reports an error instead, throws that with its code and
 *  words; else `no_dataplane`. */
async function startDataplane(options: StartOptions): Promise<number | undefined> {
  const { socket, webrtc, logLevel, logFormat } = options;
  const args = [...process.execArgv, program, '--socket', socket, '--child', '--webrtc', webrtc];
  const child = spawn(process.execPath, [...args, '--log-level', logLevel, '--log-format', logFormat], {
    detached: true,
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
    env: inherited(process.env),
  });
  const running = child.stdio[3] as Socket;
  running.on('error', () => {});
  try {
    await firstWord(child, running);
  } finally {
    running.destroy();
  }
  child.unref();
  return child.pid;
}

/** Resolves when the child says `running`. */
function firstWord(child: ChildProcess, running: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    const fail = (code: number | null) => {
      clearTimeout(timer);
      const [, name, reason] = /^failed (\w+) (.*)\n$/.exec(said) ?? [];
      reject(
        name !== undefined && Object.hasOwn(errorCodes, name)
          ? new CryonetError(name as ErrorCode, reason)
          : new CryonetError('no_dataplane', `the dataplane did not start (exit code ${code ?? 'none'})`),
      );
    };
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      fail(null);
    }, startTimeout);
    child.once('error', () => fail(null));
    // Not `exit`: only by `close` has everything that it said been read.
    child.once('close', fail);
    running.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(0, longestWord);
      if (said !== 'running\n') return;
      clearTimeout(timer);
      child.removeListener('close', fail);
      resolve();
    });
  });
}

/** The environment of a dataplane. */
export function inherited(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => passing.has(name)));
}

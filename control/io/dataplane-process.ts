/**
 * Finds the dataplane that serves the socket, or has the broker start one. That one has a process session of its own, so
 * that it outlives a control that dies; it ends by itself when no control comes back.
 */
import { existsSync } from 'node:fs';
import { connect, Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { dataplaneFlags, variablesOf } from '../../protocol/command-line.ts';
import { CryonetError, type ErrorCode, errorCodes } from '../../protocol/errors.ts';
import { refuseForeign } from '../../protocol/own-folder.ts';
import { dataplaneSocket } from '../../protocol/paths.ts';
import { loadServiceAddon } from '../../service/native.ts';
import type { ControlConfig } from '../config/config.ts';
import { broker, type Plan, type Started } from './broker.ts';

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
  ...['NODE_OPTIONS', 'NODE_COMPILE_CACHE', 'CRYONET_ADDON', 'JOURNAL_STREAM'],
]);

/** Where control reaches its dataplane. */
export function socketOf({ dataplaneSocket: given, runtimeDirectory }: ControlConfig): string {
  return given ?? dataplaneSocket(runtimeDirectory);
}

/** What this node will need of the broker. */
export function planOf(config: ControlConfig): Plan {
  const { webrtc, logLevel, logFormat } = config;
  const args = ['--socket', socketOf(config), '--child', '--webrtc', webrtc];
  const levels = ['--log-level', logLevel, '--log-format', logFormat];
  const command = [process.execPath, ...process.execArgv, program, ...args, ...levels];
  return {
    command: config.dataplaneSocket === null ? command : [],
    environment: inherited(process.env),
    mark: config.fwmark,
    port: config.listen.port,
  };
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

/** Starts a dataplane unless one serves `socket`. Resolves with the process ID of the one that it started. Throws as
 *  `startDataplane` does. */
export async function ensureDataplane(socket: string): Promise<number | undefined> {
  const running = await connectDataplane(socket);
  if (running === undefined) return startDataplane();
  running.destroy();
  return undefined;
}

/** Has the broker start a dataplane and waits until it serves its socket. If it reports an error instead, throws that with
 *  its code and words; else `addon_missing` or `no_dataplane`. */
async function startDataplane(): Promise<number> {
  const { pid, words } = startByBroker();
  const running = new Socket({ fd: words });
  running.on('error', () => {});
  try {
    await firstWord(pid, running);
  } finally {
    running.destroy();
  }
  return pid;
}

function startByBroker(): Started {
  if (broker === undefined) {
    loadServiceAddon();
    throw new CryonetError(
      'no_dataplane',
      'only bin/cryonet starts a dataplane: run that, or give --dataplane-socket',
    );
  }
  try {
    return broker.startDataplane();
  } catch (cause) {
    const { code = '' } = cause as NodeJS.ErrnoException;
    const gone = ['EPIPE', 'ECONNRESET'].includes(code);
    const reason = gone
      ? 'the broker, which starts it, has ended: start this node anew'
      : `${code} from its start`;
    throw new CryonetError('no_dataplane', reason, { cause });
  }
}

/** Resolves when the dataplane says `running`. */
function firstWord(pid: number, running: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    const fail = () => {
      clearTimeout(timer);
      const [, name, reason] = /^failed (\w+) (.*)\n$/.exec(said) ?? [];
      reject(
        name !== undefined && Object.hasOwn(errorCodes, name)
          ? new CryonetError(name as ErrorCode, reason)
          : new CryonetError('no_dataplane', 'the dataplane did not start'),
      );
    };
    const timer = setTimeout(() => {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
      fail();
    }, startTimeout);
    running.once('close', fail);
    running.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(0, longestWord);
      if (said !== 'running\n') return;
      clearTimeout(timer);
      running.removeListener('close', fail);
      resolve();
    });
  });
}

/** The environment of a dataplane. */
export function inherited(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => passing.has(name)));
}

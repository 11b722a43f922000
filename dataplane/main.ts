/** `cryonet-dataplane`: serves its socket until it is told to stop. */
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { createServer, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { CommanderError } from 'commander';
import { scanCommandLine } from '../protocol/command-line.ts';
import { CryonetError, exitCode, reasonOf } from '../protocol/errors.ts';
import { keepRoom, listenUnix } from '../protocol/listen.ts';
import { type LogFormat, type LogLevel, openLog } from '../protocol/log.ts';
import { eventually } from '../protocol/retry.ts';
import { RpcConnection } from '../protocol/rpc.ts';
import type { WebrtcEngine } from '../protocol/webrtc-engine.ts';
import { conceal } from '../service/conceal.ts';
import { toJournal } from '../service/journal.ts';
import { takeListenFds } from '../service/listen-fds.ts';
import { Notify } from '../service/notify.ts';
import type { EngineFactory } from './engine-shell.ts';
import { nativeTunsBy } from './io/native-tun.ts';
import { startWatchdog } from './io/watchdog.ts';
import { dataplaneProgram } from './options.ts';
import { DataplaneShell } from './shell.ts';

/** Milliseconds that a dataplane started by a control lives on without one. */
const lingerTime = 300_000;

/** Milliseconds after the start to keep compiled code for the next one: Node writes it at a clean exit only. */
const cacheDelay = 2000;

/** Connections at a time: control's, and those that have not said hello. */
const maxConnections = 16;

/** Milliseconds between two tries to serve the socket. */
const longestPause = 10_000;

/** What a user reads while no control is attached. */
const withoutControl = 'no control attached; links stay as they are';

interface Options {
  readonly socket: string;
  readonly child?: true;
  readonly webrtc: WebrtcEngine;
  readonly tunDevice: string;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

process.umask(0o077);
conceal();
const notify = new Notify();
/** The socket that a socket unit opened, if one did. */
const inherited = takeListenFds().get('dataplane');
const options = readOptions();
process.title = 'cryonet-dataplane';
const log = openLog('cryonet-dataplane', options.logLevel, options.logFormat, toJournal());

const tuns = nativeTunsBy(options.tunDevice);

const openEngine: EngineFactory = async (udpPort, fixed, longestRecord, host) => {
  if (options.webrtc === 'werift') {
    const { openWerift } = await import('./io/engine/werift.ts');
    return openWerift();
  }
  if (!Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ internal }) => internal))) {
    log.warn('the loopback interface is down: no link can come up (ip link set lo up)');
  }
  const { openNodeDatachannel, pathMtu } = await import('./io/engine/node-datachannel.ts');
  return openNodeDatachannel({
    udpPort,
    fixed,
    mtu: pathMtu(longestRecord),
    hostAddresses: () => host.addresses(),
    source: (remote) => host.source(remote),
  });
};

let current: RpcConnection | undefined;
/** The socket of `current`. */
let controlSocket: Socket | undefined;
const status = () => shell.trouble ?? (current === undefined ? withoutControl : 'driven by control');
const shell = new DataplaneShell({
  log,
  tuns,
  openEngine,
  child: options.child === true,
  logAt: (level) => {
    log.level = level ?? options.logLevel;
  },
  changed: () => notify.status(status),
});
const server = createServer((socket) => serve(socket));
keepRoom(server, maxConnections, (socket) => socket === controlSocket);
let linger: NodeJS.Timeout | undefined;
let stopping = false;

try {
  if (inherited === undefined) await listen();
  else await listenInherited(inherited);
  server.on('error', (error) => log.error('socket failed', { reason: error.message }));
  awaitControl();
  guard();
  setTimeout(flushCompileCache, cacheDelay).unref();
  if (options.child && !tellControl('running')) process.exit(exitCode.failure);
  shell.look();
  notify.ready(status());
  const socket = inherited === undefined ? options.socket : 'inherited';
  log.debug('dataplane started', { socket, pid: process.pid });
} catch (error) {
  const code = error instanceof CryonetError ? error.code : 'internal';
  if (options.child) tellControl(`failed ${code} ${reasonOf(error)}`);
  else process.stderr.write(`cryonet-dataplane: ${reasonOf(error)}\n`);
  notify.status(() => reasonOf(error));
  process.exit(code === 'bad_config' ? exitCode.config : exitCode.failure);
}

process.on('SIGTERM', () => void stop(exitCode.ok));
process.on('SIGINT', () => void stop(exitCode.ok));
process.on('uncaughtException', (error) => {
  log.error('defect', { reason: reasonOf(error), stack: error.stack });
  void stop(exitCode.failure);
});

/** Where it cannot be served yet, a child leaves it to its control to try again; one by itself waits. */
async function listen(): Promise<void> {
  if (options.child) return listenUnix(server, options.socket);
  let said = '';
  await eventually({
    attempt: () => listenUnix(server, options.socket),
    failed: (cause) => {
      const reason = reasonOf(cause);
      if (reason !== said) log.warn('cannot start yet, tried again', { reason });
      said = reason;
      notify.status(() => `cannot start yet: ${reason}`);
    },
    passes: (cause) => cause instanceof CryonetError && cause.code === 'unavailable',
    limit: longestPause,
  });
}

/** On the descriptor that a child is given. False where nobody listens any more: the control that started it has ended
 *  meanwhile, and said why. */
function tellControl(word: string): boolean {
  try {
    writeSync(3, `${word}\n`);
    return true;
  } catch {
    return false;
  }
}

/** A descriptor that is no listening socket is a mistake in the service's files. */
async function listenInherited(fd: number): Promise<void> {
  server.listen({ fd });
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new CryonetError('bad_config', `cannot listen on the socket inherited: ${reasonOf(cause)}`, {
      cause,
    });
  }
}

/** One control at a time: whoever says hello takes over. */
function serve(socket: Socket): void {
  const connection: RpcConnection = new RpcConnection(socket, {
    request: async (method, params) => {
      if (method === 'hello') {
        if (current !== connection) current?.close();
        current = connection;
        controlSocket = socket;
        clearTimeout(linger);
        notify.status(status);
      } else if (current !== connection) {
        throw new CryonetError('bad_message', 'hello comes first');
      }
      const result = await shell.request(method, params);
      if (method === 'hello') shell.attach(connection);
      if (method === 'shutdown') setImmediate(() => void stop(exitCode.ok));
      return result;
    },
    notification: (name, params) => {
      if (current === connection) shell.notification(name, params);
    },
    closed: (cause) => {
      if (cause !== undefined) log.warn('control connection closed', { reason: cause.message });
      if (current !== connection) return;
      current = controlSocket = undefined;
      shell.attach(undefined);
      notify.status(status);
      awaitControl();
    },
  });
}

/** Without the addon no interface opens, which says so itself. */
function guard(): void {
  try {
    startWatchdog();
  } catch (error) {
    log.debug('no watchdog', { reason: reasonOf(error) });
  }
}

function awaitControl(): void {
  if (!options.child) return;
  clearTimeout(linger);
  linger = setTimeout(() => {
    log.warn('no control came back: stopping', { seconds: lingerTime / 1000 });
    void stop(exitCode.ok);
  }, lingerTime);
}

async function stop(code: number): Promise<void> {
  if (stopping) return;
  stopping = true;
  notify.stopping();
  if (code === exitCode.ok) await shell.leave();
  shell.close();
  server.close();
  // node-datachannel must not be cleaned up: closing its connections and leaving is what works.
  setTimeout(() => process.exit(code), 20);
}

function readOptions(): Options {
  const program = dataplaneProgram();
  try {
    const { missing } = scanCommandLine(process.argv.slice(2), program);
    if (missing !== undefined) throw new CryonetError('bad_config', missing);
    program.parse();
    return program.opts<Options>();
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) process.exit(0);
    process.stderr.write(`cryonet-dataplane: ${reasonOf(error).replace(/^error: /, '')}\n`);
    process.exit(exitCode.config);
  }
}

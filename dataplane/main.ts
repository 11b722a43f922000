/** `cryonet-dataplane`: serves its socket until it is told to stop. */
import { writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { createServer, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { Command, CommanderError, Option } from 'commander';
import { CryonetError, exitCode, reasonOf } from '../protocol/errors.ts';
import { listenUnix } from '../protocol/listen.ts';
import { type LogFormat, type LogLevel, logFormats, logLevels, openLog } from '../protocol/log.ts';
import { dataplaneSocket, defaultRuntimeDirectory } from '../protocol/paths.ts';
import { RpcConnection } from '../protocol/rpc.ts';
import { version } from '../protocol/version.ts';
import { nativeTunFactory } from './io/native-tun.ts';
import { checkTunPermission } from './io/tun-permission.ts';
import { startWatchdog } from './io/watchdog.ts';
import { DataplaneShell, type EngineFactory } from './shell.ts';

/** Milliseconds that a dataplane started by a control lives on without one. */
const lingerTime = 300_000;

/** Milliseconds after the start to keep compiled code for the next one: Node writes it at a clean exit only. */
const cacheDelay = 2000;

interface Options {
  readonly socket: string;
  readonly child?: true;
  readonly webrtc: 'node-datachannel' | 'werift';
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

process.umask(0o077);
const options = readOptions();
process.title = 'cryonet-dataplane';
const log = openLog('cryonet-dataplane', options.logLevel, options.logFormat);

const openEngine: EngineFactory = async (udpPort, fixed, interfaceMtu) => {
  checkTunPermission();
  if (options.webrtc === 'werift') {
    const { openWerift } = await import('./io/engine/werift.ts');
    return openWerift();
  }
  if (!Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ internal }) => internal))) {
    log.warn('the loopback interface is down: no link can come up (ip link set lo up)');
  }
  const { openNodeDatachannel, pathMtu } = await import('./io/engine/node-datachannel.ts');
  return openNodeDatachannel({ udpPort, fixed, mtu: pathMtu(interfaceMtu) });
};

const shell = new DataplaneShell({ log, tuns: nativeTunFactory, openEngine, child: options.child === true });
const server = createServer((socket) => serve(socket));
let current: RpcConnection | undefined;
let linger: NodeJS.Timeout | undefined;

try {
  await listenUnix(server, options.socket);
  server.on('error', (error) => log.error('socket failed', { reason: error.message }));
  awaitControl();
  guard();
  setTimeout(flushCompileCache, cacheDelay).unref();
  if (options.child) writeSync(3, 'running\n');
  log.debug('dataplane started', { socket: options.socket, pid: process.pid });
} catch (error) {
  process.stderr.write(`cryonet-dataplane: ${reasonOf(error)}\n`);
  process.exit(error instanceof CryonetError ? exitCode.config : exitCode.failure);
}

process.on('SIGTERM', () => stop(exitCode.ok));
process.on('SIGINT', () => stop(exitCode.ok));
process.on('uncaughtException', (error) => {
  log.error('defect', { reason: reasonOf(error), stack: error.stack });
  stop(exitCode.failure);
});

/** One control at a time: whoever says hello takes over. */
function serve(socket: Socket): void {
  const connection: RpcConnection = new RpcConnection(socket, {
    request: async (method, params) => {
      if (method === 'hello') {
        if (current !== connection) current?.close();
        current = connection;
        clearTimeout(linger);
      } else if (current !== connection) {
        throw new CryonetError('bad_message', 'hello comes first');
      }
      const result = await shell.request(method, params);
      if (method === 'hello') shell.attach(connection);
      if (method === 'shutdown') setImmediate(() => stop(exitCode.ok));
      return result;
    },
    notification: (name, params) => {
      if (current === connection) shell.notification(name, params);
    },
    closed: (cause) => {
      if (cause !== undefined) log.warn('control connection closed', { reason: cause.message });
      if (current !== connection) return;
      current = undefined;
      shell.attach(undefined);
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
    stop(exitCode.ok);
  }, lingerTime);
}

function stop(code: number): void {
  shell.close();
  server.close();
  // node-datachannel must not be cleaned up: closing its connections and leaving is what works.
  setTimeout(() => process.exit(code), 20);
}

function readOptions(): Options {
  const program = new Command('cryonet-dataplane')
    .description(
      'Carries the packets of a cryonet node: datachannels and cn* interfaces. Driven by cryonet over a socket.',
    )
    .version(version, '-V, --version')
    .addOption(
      new Option('--socket <SOCKET>', 'where control connects').default(
        dataplaneSocket(defaultRuntimeDirectory(process.env, process.getuid?.() ?? 0)),
      ),
    )
    .addOption(
      new Option('--webrtc <ENGINE>', 'WebRTC engine')
        .choices(['node-datachannel', 'werift'])
        .default('node-datachannel')
        .env('WEBRTC'),
    )
    .addOption(
      new Option(
        '--child',
        'started by control: say so on descriptor 3, end when no control comes back',
      ).hideHelp(),
    )
    .addOption(
      new Option('--log-level <LEVEL>', 'least level that is logged')
        .choices(logLevels)
        .default('info')
        .env('LOG_LEVEL'),
    )
    .addOption(
      new Option('--log-format <FORMAT>', 'auto is json under systemd')
        .choices(logFormats)
        .default('auto')
        .env('LOG_FORMAT'),
    )
    .addHelpText('after', '\nNeeds CAP_NET_ADMIN and /dev/net/tun. See cryonet-dataplane(1).')
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  try {
    program.parse();
    return program.opts<Options>();
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) process.exit(0);
    process.stderr.write(`cryonet-dataplane: ${reasonOf(error).replace(/^error: /, '')}\n`);
    process.exit(exitCode.config);
  }
}

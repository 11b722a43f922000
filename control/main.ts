/** `cryonet`: reads its configuration, and runs control until it is told to stop. */
import { closeSync, openSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { CommanderError } from 'commander';
import { CryonetError, exitCode, mayPass, reasonOf } from '../protocol/errors.ts';
import { type LogLevel, type OpenLog, openLog } from '../protocol/log.ts';
import { controlSocket } from '../protocol/paths.ts';
import { eventually } from '../protocol/retry.ts';
import { conceal } from '../service/conceal.ts';
import { toJournal } from '../service/journal.ts';
import { Notify } from '../service/notify.ts';
import { filesOf, mistakesIn, readAgain } from './config/check.ts';
import { type ControlConfig, longestPause, readConfig, TokenAwaited } from './config/config.ts';
import { fileToCheck } from './config/sources.ts';
import { broker } from './io/broker.ts';
import { tokenKeys } from './io/crypto.ts';
import { ensureDataplane, planOf, socketOf } from './io/dataplane-process.ts';
import { lockStateDirectory, type StateLock } from './io/state-lock.ts';
import type { ControlShell } from './shell.ts';

/** Milliseconds after which a stop that hangs is cut short. */
const stopLimit = 1500;

/** Milliseconds after the start until compiled code is written to the cache. */
const cacheDelay = 2000;

process.umask(0o077);
conceal();
let shell: ControlShell | undefined;
const atTerminal = hasTerminal();
// Until the shell exists there is nothing to reload.
process.on('SIGHUP', () => {
  if (atTerminal && !hasTerminal()) void stop(exitCode.ok);
  else shell?.reloadOnSignal();
});
const notify = new Notify();
const config = await configuration();
const log = introduce(config);
let early: Promise<number | undefined> | undefined;
let held: StateLock | undefined;

let stopping = false;
async function stop(code: number): Promise<void> {
  if (stopping) return;
  stopping = true;
  notify.stopping();
  setTimeout(() => process.exit(code), stopLimit).unref();
  if (shell === undefined) await endEarly();
  else await shell.stop();
  held?.release();
  process.exit(code);
}

let ready = false;
let waitsFor = '';
process.on('SIGTERM', () => void stop(exitCode.ok));
process.on('SIGINT', () => void stop(exitCode.ok));
process.on('uncaughtException', (error) => {
  log.error('defect', { reason: reasonOf(error), stack: error.stack });
  void stop(exitCode.failure);
});

try {
  await lock();
  // Before anything that another node says is read.
  broker?.plan(planOf(config));
  // The dataplane starts on another processor while this process loads the rest of itself.
  early = config.dataplaneSocket === null ? ensureDataplane(socketOf(config)) : undefined;
  early?.catch(() => {});
  // So does a thread that stretches the tokens.
  const [{ ControlShell }, keys] = await Promise.all([import('./shell.ts'), tokenKeys(config.tokens)]);
  const changed = () => {
    if (ready) notify.status(() => shell!.summary());
  };
  const limit = longestPause(config);
  const again = () => readAgain(process.argv.slice(2), process.env, process.getuid?.() ?? 0);
  const logAt = (level: LogLevel) => {
    log.level = level;
  };
  const attempt = () => new ControlShell({ config, keys, log, early, changed, again, logAt });
  shell = await eventually({ attempt, failed: waits, limit });
  await shell.start();
  ready = true;
  notify.ready(shell.summary());
  // Node writes the compile cache only at a clean exit. Without this, the next start after a kill would be slow.
  setTimeout(flushCompileCache, cacheDelay).unref();
} catch (error) {
  const code = error instanceof CryonetError ? error.code : 'internal';
  complain(error);
  // The shell first, because it would start another dataplane when this one ends.
  await shell?.stop();
  await endEarly();
  await stop(code === 'bad_config' ? exitCode.config : exitCode.failure);
}

/** Locks the state directory. If another cryonet has it, a service waits for that to end; a node started by hand fails. */
async function lock(): Promise<void> {
  const limit = longestPause(config);
  const passes = (cause: unknown) =>
    mayPass(cause) && (config.service || (cause as CryonetError).code !== 'state_in_use');
  const attempt = () => lockStateDirectory(config.stateDirectory);
  held = await eventually({ attempt, failed: waits, limit, passes });
  const { lacking } = held;
  if (lacking !== undefined) log.warn('the state directory is not locked', { reason: lacking });
}

/** Tells that the start has to wait. The service manager is told that the service is ready, so that it sets no time limit
 *  to the wait. */
function waits(cause: unknown): void {
  const reason = `cannot start yet: ${reasonOf(cause)}`;
  if (reason === waitsFor) return;
  log.warn('cannot start yet, tried again', { reason: reasonOf(cause) });
  if (waitsFor === '') notify.ready(reason);
  else notify.status(() => reason);
  waitsFor = reason;
}

/** Whether this process has a terminal. If SIGHUP comes because the terminal is gone, the node stops; else it reloads. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}

/** Ends a dataplane that was started early for a control that does not start. */
async function endEarly(): Promise<void> {
  try {
    const pid = await early;
    if (pid !== undefined) process.kill(pid, 'SIGTERM');
  } catch {
    // It did not start, or has ended by itself.
  }
}

/** Prints an error on standard error, and where `systemctl status` shows it. */
function complain(error: unknown): void {
  process.stderr.write(`cryonet: ${reasonOf(error)}\n`);
  notify.status(() => reasonOf(error));
}

async function configuration(): Promise<ControlConfig> {
  const argv = process.argv.slice(2);
  const uid = process.getuid?.() ?? 0;
  try {
    const file = fileToCheck(argv, process.env);
    if (file !== undefined) return await checkOnly(file, uid);
    return readConfig(argv, process.env, uid);
  } catch (error) {
    if (error instanceof CommanderError) process.exit(error.exitCode);
    if (error instanceof TokenAwaited) return waitForToken(error);
    complain(error);
    process.exit(exitCode.config);
  }
}

/** Says what is wrong with a configuration file and those beside it, a line each, and ends the process. */
async function checkOnly(file: string, uid: number): Promise<never> {
  const mistakes = mistakesIn(file, process.env, uid);
  const good = () => filesOf(file).map((path) => `${path}: good\n`);
  if (mistakes.length === 0) process.stdout.write(good().join(''));
  else process.stderr.write(mistakes.map((mistake) => `${mistake}\n`).join(''));
  process.exit(mistakes.length === 0 ? exitCode.ok : exitCode.config);
}

/** Waits for the token of a service, which is no failure. Then ends the process, and the next start gets the token. */
async function waitForToken({ config, file }: TokenAwaited): Promise<never> {
  const log = introduce(config);
  const waiting = `waiting for a token in ${file}, the same on all nodes`;
  const [{ awaitToken }, socket] = await Promise.all([
    import('./io/token-wait.ts'),
    serveWaiting(config.runtimeDirectory, waiting),
  ]);
  const wait = awaitToken(file, process.env.CREDENTIALS_DIRECTORY);
  const end = (code: number): never => {
    notify.stopping();
    socket?.close();
    wait.close();
    process.exit(code);
  };
  process.on('SIGTERM', () => end(exitCode.ok));
  process.on('SIGINT', () => end(exitCode.ok));
  log.warn(`${waiting}; to make one: (umask 077; head -c 32 /dev/urandom | base64 > ${file})`, {
    id: config.id,
  });
  notify.ready(waiting);
  await wait.found;
  log.info('a token is there: ending, to be started again with it');
  return end(exitCode.again);
}

/** Serves the control socket, to answer that the node waits. Undefined if it cannot be served; another node may run. */
async function serveWaiting(folder: string, waiting: string): Promise<{ close(): void } | undefined> {
  const { openControlSocket, refusing } = await import('./io/control-socket.ts');
  try {
    const node = refusing(new CryonetError('no_token', `the node is ${waiting}`));
    return await openControlSocket(controlSocket(folder), node);
  } catch {
    return undefined;
  }
}

/** Opens the log, and sets the process title: the command line, which `ps` showed until now, may have the token. */
function introduce({ id, logLevel, logFormat }: TokenAwaited['config']): OpenLog {
  process.title = `cryonet ${id}`;
  return openLog('cryonet', logLevel, logFormat, toJournal());
}

/** `cryonet`: reads its configuration, runs control until it is told to stop. */
import { flushCompileCache } from 'node:module';
import { CommanderError } from 'commander';
import { CryonetError, exitCode, reasonOf } from '../protocol/errors.ts';
import { openLog } from '../protocol/log.ts';
import { type ControlConfig, readConfig } from './config.ts';
import { ensureDataplane, startOptions } from './io/dataplane-process.ts';
import type { ControlShell } from './shell.ts';

/** Milliseconds after which a stop that hangs is cut short. */
const stopLimit = 1500;

/** Milliseconds after the start to keep compiled code for the next one. */
const cacheDelay = 2000;

process.umask(0o077);
const config = configuration();
// The token may stand on the command line; from here on `ps` shows this instead.
process.title = `cryonet ${config.id}`;
const log = openLog('cryonet', config.logLevel, config.logFormat);
// The dataplane starts on another core while this process loads the rest of itself.
const early = config.dataplaneSocket === null ? ensureDataplane(startOptions(config)) : undefined;
early?.catch(() => {});

let stopping = false;
async function stop(code: number): Promise<void> {
  if (stopping) return;
  stopping = true;
  setTimeout(() => process.exit(code), stopLimit).unref();
  await shell?.stop();
  process.exit(code);
}

let shell: ControlShell | undefined;
process.on('SIGTERM', () => void stop(exitCode.ok));
process.on('SIGINT', () => void stop(exitCode.ok));
process.on('uncaughtException', (error) => {
  log.error('defect', { reason: reasonOf(error), stack: error.stack });
  void stop(exitCode.failure);
});

try {
  const { ControlShell } = await import('./shell.ts');
  const giveUp = (cause: CryonetError) => {
    log.error('giving up', { reason: cause.message });
    void stop(exitCode.config);
  };
  shell = new ControlShell(config, log, giveUp, early);
  await shell.start();
  // Node writes it at a clean exit only; the next start after a kill would be slow.
  setTimeout(flushCompileCache, cacheDelay).unref();
} catch (error) {
  const code = error instanceof CryonetError ? error.code : 'internal';
  process.stderr.write(`cryonet: ${reasonOf(error)}\n`);
  const configuration = code === 'bad_config' || code === 'port_in_use' || code === 'socket_in_use';
  await endEarly();
  await stop(configuration ? exitCode.config : exitCode.failure);
}

/** A dataplane that was started for a control that does not start is of no use. */
async function endEarly(): Promise<void> {
  try {
    const pid = await early;
    if (pid !== undefined) process.kill(pid, 'SIGTERM');
  } catch {
    // It did not start, or has ended by itself.
  }
}

function configuration(): ControlConfig {
  try {
    return readConfig(process.argv.slice(2), process.env, process.getuid?.() ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) process.exit(error.exitCode);
    process.stderr.write(`cryonet: ${reasonOf(error)}\n`);
    process.exit(exitCode.config);
  }
}

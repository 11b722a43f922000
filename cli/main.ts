/** `cryoc`: asks a running node. */
import { existsSync } from 'node:fs';
import { CommanderError } from 'commander';
import { scanCommandLine } from '../protocol/command-line.ts';
import { CryonetError, exitCode, reasonOf } from '../protocol/errors.ts';
import { controlSocket, defaultRuntimeDirectory } from '../protocol/paths.ts';
import { getJson } from './control-client.ts';
import { cryocProgram } from './options.ts';
import { renderStatus } from './render-status.ts';

const { program, status } = cryocProgram();

status.action(async (options: { json?: true }) => {
  const report = await getJson(socketPath(), '/status');
  if (options.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  else process.stdout.write(renderStatus(report, process.stdout));
});

function socketPath(): string {
  const { socket, runtimeDir } = program.opts<{ socket?: string; runtimeDir?: string }>();
  if (socket !== undefined) return socket;
  if (runtimeDir !== undefined) return controlSocket(runtimeDir);
  const own = controlSocket(defaultRuntimeDirectory(process.env, process.getuid?.() ?? 0));
  // Who runs no node asks the service's: members of its group may.
  const service = controlSocket(defaultRuntimeDirectory({}, 0));
  return !existsSync(own) && existsSync(service) ? service : own;
}

try {
  const { missing } = scanCommandLine(process.argv.slice(2), program);
  if (missing !== undefined) throw new CryonetError('bad_config', missing);
  if (process.argv.length <= 2) program.outputHelp();
  else await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) process.exit(exitCode.ok);
    fail(error.message.replace(/^error: /, ''), exitCode.config);
  }
  fail(
    reasonOf(error),
    error instanceof CryonetError && error.code === 'bad_config' ? exitCode.config : exitCode.failure,
  );
}

function fail(reason: string, code: number): never {
  process.stderr.write(`cryoc: ${reason}\n`);
  process.exit(code);
}

/** `cryoc`: asks a running node about itself. */
import { CommanderError } from 'commander';
import { scanCommandLine } from '../protocol/command-line.ts';
import type { ControlPath, Reply } from '../protocol/control.ts';
import { CryonetError, exitCode, reasonOf } from '../protocol/errors.ts';
import { refuseForeign } from '../protocol/own-folder.ts';
import { controlSocket, defaultRuntimeDirectory } from '../protocol/paths.ts';
import { getJson, isNobody } from './control-client.ts';
import { printable, printableJson } from './printable.ts';
import { type Asked, cryocProgram } from './program.ts';
import { terminalOf } from './terminal.ts';

const program = cryocProgram(async (command, { args, json }, node) => {
  const { json: value, text } = command.show(await ask(command.path, node), args);
  process.stdout.write(json ? printableJson(value) : text(terminalOf(process.stdout, process.env)));
});

/** The reply of this user's own node or, if there is none, of the service, which members of its group may ask. */
async function ask<P extends ControlPath>(path: P, { socket, runtimeDir }: Asked): Promise<Reply<P>> {
  if (socket !== undefined) return getJson(socket, path);
  if (runtimeDir !== undefined) return getJson(controlSocket(runtimeDir), path);
  const own = controlSocket(defaultRuntimeDirectory(process.env, process.getuid?.() ?? 0));
  const service = controlSocket(defaultRuntimeDirectory({}, 0));
  refuseForeign(own, 'set XDG_RUNTIME_DIR, or name the node by --runtime-dir');
  try {
    return await getJson(own, path);
  } catch (error) {
    if (own === service || !isNobody(error)) throw error;
  }
  return getJson(service, path);
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
  process.stderr.write(`cryoc: ${printable(reason)}\n`);
  process.exit(code);
}

/** `cryoc`: asks a running node about itself. */
import { CommanderError } from 'commander';
import { scanCommandLine } from '../protocol/command-line.ts';
import { CryonetError, exitCode, reasonOf } from '../protocol/errors.ts';
import { refuseForeign } from '../protocol/own-folder.ts';
import { controlSocket, defaultRuntimeDirectory } from '../protocol/paths.ts';
import type { StatusReport } from '../protocol/status.ts';
import { getJson, isNobody } from './control-client.ts';
import { cryocProgram } from './options.ts';
import { printable, printableJson } from './printable.ts';
import { renderPeer } from './render-peer.ts';
import { renderStatus } from './render-status.ts';
import { terminalOf } from './terminal.ts';

const { program, status } = cryocProgram();

status.action(async (id: string | undefined, options: { json?: true }) => {
  const report = await ask();
  const terminal = terminalOf(process.stdout, process.env);
  if (id === undefined) {
    process.stdout.write(options.json ? printableJson(report) : renderStatus(report, terminal));
    return;
  }
  const peer = report.peers.find((each) => each.id === id);
  if (peer === undefined) {
    const known = report.peers.map((each) => each.id).join(' ');
    throw new CryonetError('bad_config', `no peer is called ${id}; known are: ${known || 'none'}`);
  }
  process.stdout.write(options.json ? printableJson(peer) : renderPeer(peer, report, terminal));
});

/** The report of this user's own node or, if there is none, of the service, which members of its group may ask. */
async function ask(): Promise<StatusReport> {
  const { socket, runtimeDir } = program.opts<{ socket?: string; runtimeDir?: string }>();
  if (socket !== undefined) return getJson(socket, '/status');
  if (runtimeDir !== undefined) return getJson(controlSocket(runtimeDir), '/status');
  const own = controlSocket(defaultRuntimeDirectory(process.env, process.getuid?.() ?? 0));
  const service = controlSocket(defaultRuntimeDirectory({}, 0));
  refuseForeign(own, 'set XDG_RUNTIME_DIR, or name the node by --runtime-dir');
  try {
    return await getJson(own, '/status');
  } catch (error) {
    if (own === service || !isNobody(error)) throw error;
  }
  return getJson(service, '/status');
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

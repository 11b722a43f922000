/** `cryoc`: asks a running node. */
import { Command, CommanderError, Option } from 'commander';
import { CryonetError, exitCode, reasonOf } from '../protocol/errors.ts';
import { controlSocket, defaultRuntimeDirectory } from '../protocol/paths.ts';
import { version } from '../protocol/version.ts';
import { getJson } from './control-client.ts';
import { renderStatus } from './render-status.ts';

const program = new Command('cryoc')
  .description('Asks a running cryonet node about itself.')
  .version(version, '-V, --version')
  .addOption(
    new Option('--socket <SOCKET>', 'control socket (default: control.sock in the runtime folder)').env(
      'CRYONET_SOCKET',
    ),
  )
  .addOption(new Option('--runtime-dir <DIR>', 'runtime folder of the node').env('RUNTIME_DIR'))
  .exitOverride()
  .configureOutput({ writeErr: () => {} })
  .addHelpText(
    'after',
    '\nThe same over HTTP: curl --unix-socket /run/cryonet/control.sock http://cryonet/status\nSee cryoc(1).',
  );

program
  .command('status')
  .description('the node, its neighbors, and every peer with its path and interface')
  .option('--json', 'as JSON, the shape of which only grows')
  .action(async (options: { json?: true }) => {
    const report = await getJson(socketPath(), '/status');
    if (options.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    else process.stdout.write(renderStatus(report, process.stdout));
  });

function socketPath(): string {
  const { socket, runtimeDir } = program.opts<{ socket?: string; runtimeDir?: string }>();
  return socket ?? controlSocket(runtimeDir ?? defaultRuntimeDirectory(process.env, process.getuid?.() ?? 0));
}

try {
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

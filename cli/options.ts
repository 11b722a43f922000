/** The command line of `cryoc`. The caller adds what a command does. */
import { Command, Option } from 'commander';
import { givenVariable } from '../protocol/command-line.ts';
import { version } from '../protocol/version.ts';

export function cryocProgram(): { program: Command; status: Command } {
  const program = new Command('cryoc')
    .description('Asks a running cryonet node about itself.')
    .version(version, '-V, --version')
    .addOption(
      new Option('--socket <SOCKET>', 'control socket (default: control.sock in the runtime folder)').env(
        'CRYONET_SOCKET',
      ),
    )
    .addOption(
      new Option('--runtime-dir <DIR>', 'runtime folder of the node').env(
        givenVariable('runtime-dir', process.env) ?? 'RUNTIME_DIR',
      ),
    )
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .addHelpText(
      'after',
      '\nThe same over HTTP: curl --unix-socket /run/cryonet/control.sock http://cryonet/status\nSee cryoc(1).',
    );
  const status = program
    .command('status')
    .description('the node, its neighbors, and every peer with its path; or all about one peer')
    .argument('[PEER]', 'ID of a peer')
    .option('--json', 'as JSON, the shape of which only grows');
  return { program, status };
}

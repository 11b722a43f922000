/** The command line of `cryoc`, made from the table of its commands. */
import { Argument, Option, Command as Program } from 'commander';
import { givenVariable } from '../protocol/command-line.ts';
import { version } from '../protocol/version.ts';
import type { AnyCommand, Given } from './command.ts';
import { commands } from './commands.ts';

/** Which node is asked, if the command line or a variable says so. */
export interface Asked {
  readonly socket?: string;
  readonly runtimeDir?: string;
}

type Run = (command: AnyCommand, given: Given, node: Asked) => Promise<void>;

/** `run` does what a command is for. */
export function cryocProgram(run: Run): Program {
  const program = new Program('cryoc')
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
      '\nThe same over HTTP: curl --unix-socket /run/cryonet/control.sock http://cryonet/v1/status\nSee cryoc(1).',
    );
  for (const command of commands) {
    const parsed = program.command(command.name).description(command.help);
    for (const [at, [placeholder, help]] of Object.entries(command.arguments).entries()) {
      const argument = new Argument(placeholder, help);
      parsed.addArgument(at === 0 && command.words ? argument.choices(command.words) : argument);
    }
    for (const { flags, help, repeatable } of command.options) {
      const option = new Option(flags, help);
      if (repeatable) option.argParser((text: string, before: string[] = []) => [...before, text]);
      parsed.addOption(option);
    }
    parsed
      .option('--json', 'as JSON, the shape of which only grows')
      .action(() => run(command, { args: parsed.args, options: parsed.opts() }, program.opts()));
  }
  return program;
}

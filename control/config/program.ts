/** The command line of `cryonet`, made from the table of options. */
import { Command, Option } from 'commander';
import { environmentName } from '../../protocol/command-line.ts';
import { version } from '../../protocol/version.ts';
import { argument, optionTable } from './options.ts';

/** The option that has a configuration file checked, and no node run. */
export const checkFlag = 'check-config';

export function controlProgram(): Command {
  const program = new Command('cryonet')
    .description('Full-mesh tunnels: one point-to-point interface per peer, found and kept by WebRTC.')
    .usage('[OPTIONS] --token <TOKEN> <ID>')
    .version(version, '-V, --version')
    .argument('[ID]', `${argument.help} (env: ${environmentName(argument.flag)})`)
    .helpOption('-h, --help')
    .allowExcessArguments(false)
    .showHelpAfterError(false)
    .addHelpText(
      'after',
      `
Every option can be given by the environment variable shown, or in the --config file (TOML, names as here).
CRYONET_ before a variable's name (CRYONET_TOKEN) wins over the bare one, which may be another program's.
cryonet is the node itself and takes no commands: cryoc status asks a running one.

Example, two machines:
  a$ cryonet --token-file /etc/cryonet/token --listen 0.0.0.0:2333 a
  b$ cryonet --token-file /etc/cryonet/token --ws-servers ws://a.example:2333 b
  b$ ping fe80::…%cna        # cryoc status shows the address

See cryonet(1), cryoc(1).`,
    );
  for (const { flag, value, fallback, help, list } of optionTable) {
    const name = value === undefined ? `--${flag}` : `--${flag} <${value}>`;
    const note = fallback === undefined ? '' : `; default ${fallback}`;
    const option = new Option(name, `${help} (env: ${environmentName(flag)}${note})`);
    // Commander would treat `--no-direct` as the negation of a switch `--direct`, which does not exist.
    option.negate = false;
    if (list) option.argParser((text: string, before: string[] | undefined) => [...(before ?? []), text]);
    program.addOption(option);
  }
  const check =
    'say what is wrong with a configuration file, /etc/cryonet/config.toml unless another is named, and exit';
  program.addOption(new Option(`--${checkFlag} [FILE]`, check));
  return program;
}

/** The command line of `cryonet-dataplane`, made from the table of its options. */
import { Command, Option } from 'commander';
import { dataplaneFlags, environmentName, givenVariable } from '../protocol/command-line.ts';
import { logFormats } from '../protocol/log.ts';
import { logLevels } from '../protocol/log-level.ts';
import { dataplaneSocket, defaultRuntimeDirectory } from '../protocol/paths.ts';
import { version } from '../protocol/version.ts';
import { webrtcEngines } from '../protocol/webrtc-engine.ts';
import { defaultTunDevice } from './io/tun-refusal.ts';

/** Those of `dataplaneFlags` have a variable, too. */
const optionTable: readonly Option[] = [
  new Option('--socket <SOCKET>', 'where control connects').default(
    dataplaneSocket(defaultRuntimeDirectory(process.env, process.getuid?.() ?? 0)),
  ),
  new Option('--webrtc <ENGINE>', 'WebRTC engine').choices(webrtcEngines).default('node-datachannel'),
  new Option('--tun-device <PATH>', 'device node that interfaces are made with').default(defaultTunDevice),
  new Option(
    '--child',
    'started by control: say so on descriptor 3, end when no control comes back',
  ).hideHelp(),
  new Option('--log-level <LEVEL>', 'least level that is logged').choices(logLevels).default('info'),
  new Option('--log-format <FORMAT>', 'auto is entries of the journal, or json, under systemd')
    .choices(logFormats)
    .default('auto'),
];

export function dataplaneProgram(): Command {
  const program = new Command('cryonet-dataplane')
    .description(
      'Carries the packets of a cryonet node: datachannels and cn* interfaces. Driven by cryonet over a socket.',
    )
    .version(version, '-V, --version')
    .addHelpText(
      'after',
      '\nNeeds CAP_NET_ADMIN and a TUN device that it may open. See cryonet-dataplane(1).',
    )
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  for (const option of optionTable) program.addOption(withVariable(option));
  return program;
}

/** An empty variable counts as none. */
function withVariable(option: Option): Option {
  const flag = option.name();
  const variable = givenVariable(flag, process.env) ?? environmentName(flag);
  const has = dataplaneFlags.some((each) => each === flag) && process.env[variable] !== '';
  return has ? option.env(variable) : option;
}

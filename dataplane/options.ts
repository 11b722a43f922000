/** The command line of `cryonet-dataplane`. */
import { Command, Option } from 'commander';
import { logFormats, logLevels } from '../protocol/log.ts';
import { dataplaneSocket, defaultRuntimeDirectory } from '../protocol/paths.ts';
import { version } from '../protocol/version.ts';

export function dataplaneProgram(): Command {
  return new Command('cryonet-dataplane')
    .description(
      'Carries the packets of a cryonet node: datachannels and cn* interfaces. Driven by cryonet over a socket.',
    )
    .version(version, '-V, --version')
    .addOption(
      new Option('--socket <SOCKET>', 'where control connects').default(
        dataplaneSocket(defaultRuntimeDirectory(process.env, process.getuid?.() ?? 0)),
      ),
    )
    .addOption(
      new Option('--webrtc <ENGINE>', 'WebRTC engine')
        .choices(['node-datachannel', 'werift'])
        .default('node-datachannel')
        .env('WEBRTC'),
    )
    .addOption(
      new Option(
        '--child',
        'started by control: say so on descriptor 3, end when no control comes back',
      ).hideHelp(),
    )
    .addOption(
      new Option('--log-level <LEVEL>', 'least level that is logged')
        .choices(logLevels)
        .default('info')
        .env('LOG_LEVEL'),
    )
    .addOption(
      new Option('--log-format <FORMAT>', 'auto is json under systemd')
        .choices(logFormats)
        .default('auto')
        .env('LOG_FORMAT'),
    )
    .addHelpText('after', '\nNeeds CAP_NET_ADMIN and /dev/net/tun. See cryonet-dataplane(1).')
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
}

/** The command line of `cryonet-dataplane`. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { environmentName, givenVariable } from '../protocol/command-line.ts';
import { logFormats, logLevels } from '../protocol/log.ts';
import { dataplaneSocket, defaultRuntimeDirectory } from '../protocol/paths.ts';
import { version } from '../protocol/version.ts';
import { readWebrtcEngine, takenEngine, type WebrtcEngine } from '../protocol/webrtc-engine.ts';
import { defaultTunDevice } from './io/tun-refusal.ts';

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
      orVariable(
        new Option('--webrtc <ENGINE>', 'WebRTC engine')
          .choices(['node-datachannel'])
          .default('node-datachannel')
          .argParser(webrtcEngine),
      ),
    )
    .addOption(
      orVariable(
        new Option('--tun-device <PATH>', 'device node that interfaces are made with').default(
          defaultTunDevice,
        ),
      ),
    )
    .addOption(
      new Option(
        '--child',
        'started by control: say so on descriptor 3, end when no control comes back',
      ).hideHelp(),
    )
    .addOption(
      orVariable(
        new Option('--log-level <LEVEL>', 'least level that is logged').choices(logLevels).default('info'),
      ),
    )
    .addOption(
      orVariable(
        new Option('--log-format <FORMAT>', 'auto is json under systemd').choices(logFormats).default('auto'),
      ),
    )
    .addHelpText(
      'after',
      '\nNeeds CAP_NET_ADMIN and a TUN device that it may open. See cryonet-dataplane(1).',
    )
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
}

/** What is offered is less than what is taken: see `readWebrtcEngine`. */
function webrtcEngine(name: string): WebrtcEngine {
  const engine = readWebrtcEngine(name, process.env);
  if (engine === undefined) throw new InvalidArgumentError(`It takes ${takenEngine}.`);
  return engine;
}

/** Takes its value from its variable, with or without CRYONET_ before the name. An empty one counts as none. */
function orVariable(option: Option): Option {
  const flag = option.attributeName().replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const name = givenVariable(flag, process.env) ?? environmentName(flag);
  return process.env[name] === '' ? option : option.env(name);
}

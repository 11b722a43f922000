/** `cryoc hooks`: runs programs for what happens. */
import { parseDuration } from '../../protocol/duration.ts';
import { CryonetError } from '../../protocol/errors.ts';
import type { ServingCommand } from '../command.ts';

const defaultFolder = '/etc/cryonet/hooks.d';
const defaultTimeout = '30s';

export const hooks: ServingCommand = {
  name: 'hooks',
  arguments: {},
  options: [
    { flags: '--dir <DIR>', help: `folder of the programs (default: ${defaultFolder})` },
    { flags: '--timeout <TIME>', help: `for one program and one event (default: ${defaultTimeout})` },
  ],
  help: 'run the programs of a folder for each event, as cryonet-hooks.service does, until it is stopped',
  async serve({ options: { dir = defaultFolder, timeout = defaultTimeout } }, at) {
    const milliseconds = parseDuration(String(timeout));
    if (milliseconds === undefined)
      throw new CryonetError('bad_config', `--timeout takes a duration such as 30s or 2m, not ${timeout}`);
    const { serveHooks } = await import('../hooks/serve.ts');
    return serveHooks({
      ...{ folder: String(dir), timeout: milliseconds, at },
      stateDirectory: process.env.STATE_DIRECTORY,
      say: (line) => process.stderr.write(`${line}\n`),
    });
  },
};

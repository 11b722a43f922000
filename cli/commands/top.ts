/** `cryoc top`: the peers of a node on one screen, as they change. */
import { parseDuration } from '../../protocol/duration.ts';
import { CryonetError, exitCode } from '../../protocol/errors.ts';
import type { Given, ServingCommand } from '../command.ts';
import { call } from '../control-client.ts';
import { terminalOf } from '../terminal.ts';

const defaultInterval = '1s';
/** Milliseconds. */
const intervals = { least: 200, most: 3_600_000 };

export const top: ServingCommand = {
  name: 'top',
  arguments: {},
  options: [
    { flags: '--once', help: 'print what there is to see and end' },
    { flags: '--interval <TIME>', help: `between two looks (default: ${defaultInterval})` },
    { flags: '--no-color', help: 'no colors, as with NO_COLOR' },
  ],
  help: 'all peers on one screen as they change, those in trouble first; a key opens one',
  async serve(given, at) {
    const { once, json, color } = given.options;
    const interval = intervalOf(given);
    if (!once && !json && !isTerminal())
      throw new CryonetError(
        'bad_config',
        'top needs a terminal; what there is to see now: cryoc top --once',
      );
    // Another node may answer at another socket while this one is started again.
    const socketPath = await at(async (path) => {
      await call(path, 'GET /v1/status');
      return path;
    });
    const { color: isColored, width } = terminalOf(process.stdout, process.env);
    const isColor = isColored && color !== false;
    if (once || json) {
      const { look } = await import('../top/once.ts');
      const text = await look(socketPath, { interval, color: isColor, width, json: json === true });
      await new Promise((resolve) => process.stdout.write(text, resolve));
    } else {
      const { watch } = await import('../top/shell.ts');
      await watch(socketPath, { interval, color: isColor });
    }
    // A question that is still open must not hold the process.
    process.exit(exitCode.ok);
  },
};

function isTerminal(): boolean {
  return process.stdin.isTTY === true && process.stdout.isTTY === true && process.env.TERM !== 'dumb';
}

function intervalOf({ options: { interval = defaultInterval } }: Given): number {
  const milliseconds = parseDuration(String(interval));
  if (milliseconds === undefined || milliseconds < intervals.least || milliseconds > intervals.most)
    throw new CryonetError('bad_config', `--interval takes a duration from 200ms to 1h, not ${interval}`);
  return milliseconds;
}

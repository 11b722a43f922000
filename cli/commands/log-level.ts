/** `cryoc log-level`: what a running node logs. */
import type { LogLevelNow } from '../../protocol/api.ts';
import { type LogLevel, logLevels } from '../../protocol/log-level.ts';
import type { OwnCommand } from '../command.ts';

export const logLevel: OwnCommand = {
  name: 'log-level',
  arguments: { '[LEVEL]': 'debug, info, warn or error' },
  words: logLevels,
  options: [],
  help: 'print from which level on the node logs, or have it log from LEVEL on until it is reloaded or restarted',
  async run({ args: [level] }, ask) {
    const now =
      level === undefined
        ? await ask('GET /v1/log-level')
        : await ask('PUT /v1/log-level/{level}', { level: level as LogLevel });
    return { json: now, text: () => `${words(now)}\n` };
  },
};

function words({ level, configured, dataplane }: LogLevelNow): string {
  const lasting =
    level === configured
      ? `${level}, as in its configuration`
      : `${level} until the next reload or restart, then ${configured} again; to keep it: log-level in its configuration`;
  return dataplane === false ? `${lasting}\nthe dataplane logs as before: it could not be told` : lasting;
}

/** `cryoc reload`: has the node read its configuration again. */
import type { Command } from '../command.ts';

export const reload: Command<'POST /v1/reload'> = {
  name: 'reload',
  arguments: {},
  options: [],
  help: 'read the configuration and the known identities again, and say what counts now and what after a restart',
  route: 'POST /v1/reload',
  show(reply) {
    const { applied, needsRestart } = reply;
    const lines = [
      applied.length === 0 ? 'no option has changed' : `changed: ${applied.join(' ')}`,
      ...(needsRestart.length === 0 ? [] : [`after a restart of control: ${needsRestart.join(' ')}`]),
    ];
    return { json: reply, text: () => `${lines.join('\n')}\n` };
  },
};

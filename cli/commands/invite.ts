/** `cryoc invite`: a text by which a machine joins without a token. */
import type { OwnCommand } from '../command.ts';

export const invite: OwnCommand = {
  name: 'invite',
  arguments: {},
  options: [
    {
      flags: '--server <URL>',
      help: 'where others reach this node, ws:// or wss://; repeatable',
      repeatable: true,
    },
    { flags: '--ttl <TIME>', help: 'how long it is good: 1h by default, 30d at most' },
    { flags: '--id <ID>', help: 'the only ID that may join by it' },
    { flags: '--uses <N>', help: 'how many machines may join by it: 1 by default' },
    {
      flags: '--token-file <FILE>',
      help: 'file with a token of the mesh, or -, instead of that of the running node',
    },
    { flags: '--list', help: 'print the invitations instead' },
    { flags: '--revoke <NAME>', help: 'revoke the one of that name instead' },
  ],
  help: 'invite a machine to the mesh: prints a text for cryoc join, which is good once and for an hour',
  async run(given, ask) {
    const { inviteCommand } = await import('../local/invite-command.ts');
    return inviteCommand(given, ask);
  },
};

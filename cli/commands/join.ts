/** `cryoc join`: makes this machine a node of the mesh that it is invited to. */
import type { OwnCommand } from '../command.ts';

export const join: OwnCommand = {
  name: 'join',
  arguments: { '<INVITATION>': 'what cryoc invite printed; - reads it from standard input' },
  options: [
    {
      flags: '--config-dir <DIR>',
      help: 'folder of the token and the configuration (default: /etc/cryonet)',
    },
    { flags: '--id <ID>', help: 'ID of this node (default: as configured, else the host name)' },
    { flags: '--tls-ca <FILE>', help: 'CAs, instead of the system’s, that vouch for wss:// servers' },
    { flags: '--yes', help: 'do not ask' },
    { flags: '--force', help: 'replace the token that is there' },
  ],
  help: 'join a mesh by an invitation: shows what it will write, asks, and writes token and configuration',
  async run(given) {
    const { joinCommand } = await import('../local/join-command.ts');
    return joinCommand(given);
  },
};

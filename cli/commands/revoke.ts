/** `cryoc revoke`: a statement of an operator, signed here. */
import { type OwnCommand, signing } from '../command.ts';

export const revoke: OwnCommand = {
  name: 'revoke',
  arguments: { '<NODE>': 'ID of the node, or the fingerprint of its key' },
  options: [...signing],
  help: 'put a node out of the mesh, on all nodes',
  async run(given, ask) {
    const { statementCommand } = await import('../local/statement-command.ts');
    return statementCommand('revoke', given, ask);
  },
};

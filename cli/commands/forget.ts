/** `cryoc forget`: a statement of an operator, signed here. */
import { type OwnCommand, signing } from '../command.ts';

export const forget: OwnCommand = {
  name: 'forget',
  arguments: { '<ID>': 'ID of the node' },
  options: [...signing],
  help: 'have all nodes take the next key that comes for an ID',
  async run(given, ask) {
    const { statementCommand } = await import('../local/statement-command.ts');
    return statementCommand('forget', given, ask);
  },
};

/** `cryoc accept`: a statement of an operator, signed here. */
import { type OwnCommand, signing } from '../command.ts';

export const accept: OwnCommand = {
  name: 'accept',
  arguments: { '<ID>': 'ID of the node' },
  options: [
    { flags: '--fingerprint <FINGERPRINT>', help: 'of the key, as cryoc status shows it on that node' },
    ...signing,
  ],
  help: 'have a key speak for an ID on all nodes, of a node that was installed again for example; lifts a revocation',
  async run(given, ask) {
    const { statementCommand } = await import('../local/statement-command.ts');
    return statementCommand('accept', given, ask);
  },
};

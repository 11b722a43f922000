/** `cryoc operator`: keys of operators, made without a node. */
import type { OwnCommand } from '../command.ts';

export const operator: OwnCommand = {
  name: 'operator',
  arguments: {
    '<ACTION>': 'generate',
    '[FILE]': 'file of the key (default: cryonet/operator.pem in the configuration folder of the user)',
  },
  words: ['generate'],
  options: [
    { flags: '--passphrase-file <FILE>', help: 'file with the passphrase, or - for standard input' },
    { flags: '--no-passphrase', help: 'leave the key open to whoever reads its file' },
  ],
  help: 'make an operator key, which accepts and revokes nodes in a whole mesh; needs no node',
  async run({ args, options }) {
    const { defaultOperatorFile, makeOperatorFile } = await import('../local/operator-file.ts');
    const path = args[1] ?? defaultOperatorFile();
    const line = await makeOperatorFile(path, options);
    const next = 'into /etc/cryonet/config.toml of every node, then on each: cryoc reload';
    return {
      json: { file: path, operator: line },
      text: () => `${path}: keep it, and a copy, off the nodes\n\noperators = ["${line}"]\n\n${next}\n`,
    };
  },
};

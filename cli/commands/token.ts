/** `cryoc token`: the tokens of a node, in their file. */
import type { OwnCommand } from '../command.ts';

export const token: OwnCommand = {
  name: 'token',
  arguments: {
    '<ACTION>': 'list, generate, add, use or drop',
    '[WHAT]': 'of add, a file with the token instead of standard input (-); of use and drop, a tag',
  },
  words: ['list', 'generate', 'add', 'use', 'drop'],
  options: [
    { flags: '--file <FILE>', help: 'token file, instead of that of the running node or of the service' },
    { flags: '--add', help: 'at generate: add the new token to the file instead of printing it' },
    { flags: '--no-reload', help: 'leave the running node as it is' },
  ],
  help: 'list, make, add, use and drop tokens of the mesh in the token file, each by its tag',
  async run(given, ask) {
    const { tokenCommand } = await import('../local/token-command.ts');
    return tokenCommand(given, ask);
  },
};

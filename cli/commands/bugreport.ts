/** `cryoc bugreport`: all that whoever mends a bug asks for, in one file. */
import type { OwnCommand } from '../command.ts';

export const bugreport: OwnCommand = {
  name: 'bugreport',
  arguments: {},
  options: [
    { flags: '--output <FILE>', help: 'write it there (default: cryonet-bugreport-DATE.txt here)' },
    { flags: '--addresses', help: 'leave addresses and names of hosts as they are' },
  ],
  help: 'status, events, doctor, configuration, log and versions in one file, without secrets, keys and addresses',
  async run({ options }, ask, at) {
    const { bugreport: gather } = await import('../local/bugreport.ts');
    // Lines of the journal that not everybody may read are not for everybody here.
    process.umask(0o077);
    const day = new Date().toISOString().slice(0, 10);
    const file = String(options.output ?? `cryonet-bugreport-${day}.txt`);
    const report = await gather(ask, at!, { addresses: options.addresses === true, file });
    process.stderr.write(`${file}: IDs of nodes are in it; read it before you give it away\n`);
    return report;
  },
};

/** `cryoc doctor`: what is wrong with this machine or its node, and what to do. */
import { exitCode } from '../../protocol/errors.ts';
import type { OwnCommand } from '../command.ts';

export const doctor: OwnCommand = {
  name: 'doctor',
  arguments: {},
  options: [],
  help: `look at this machine and its node, if one runs, and say what to do; ends with ${exitCode.down} where something is wrong`,
  async run(_given, ask) {
    const { doctor: look } = await import('../local/doctor.ts');
    return look(ask);
  },
};

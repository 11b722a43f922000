/** `cryoc ip`: where a peer is reached over its link. */
import { CryonetError } from '../../protocol/errors.ts';
import type { Command } from '../command.ts';
import { peerCalled } from '../peers.ts';

export const ip: Command<'GET /v1/status'> = {
  name: 'ip',
  arguments: { '<PEER>': 'ID of a peer' },
  options: [],
  help: 'the address of a peer on its interface, as ping and ssh take it',
  route: 'GET /v1/status',
  show(report, { args: [id] }) {
    const { reason, interface: device } = peerCalled(id!, report);
    if (device === null) {
      const why = reason === '' ? '' : `: ${reason}`;
      throw new CryonetError('unavailable', `there is no interface for ${id}, as the link is not up${why}`);
    }
    const { name, peerAddress } = device;
    return {
      json: { peer: id, address: peerAddress, interface: name },
      text: () => `${peerAddress}%${name}\n`,
    };
  },
};

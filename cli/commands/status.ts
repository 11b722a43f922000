/** `cryoc status`: the node and its peers, or one peer. */
import { CryonetError } from '../../protocol/errors.ts';
import type { Command } from '../command.ts';
import { renderPeer } from '../render-peer.ts';
import { renderStatus } from '../render-status.ts';

export const status: Command<'/status'> = {
  name: 'status',
  arguments: { '[PEER]': 'ID of a peer' },
  help: 'the node, its neighbors, and every peer with its path; or all about one peer',
  path: '/status',
  show(report, [id]) {
    if (id === undefined) return { json: report, text: (terminal) => renderStatus(report, terminal) };
    const peer = report.peers.find((each) => each.id === id);
    if (peer !== undefined) return { json: peer, text: (terminal) => renderPeer(peer, report, terminal) };
    const known = report.peers.map((each) => each.id).join(' ');
    throw new CryonetError('bad_config', `no peer is called ${id}; known are: ${known || 'none'}`);
  },
};

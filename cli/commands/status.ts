/** `cryoc status`: the node and its peers, or one peer. */
import { exitCode } from '../../protocol/errors.ts';
import type { Command } from '../command.ts';
import { isDown, peerCalled } from '../peers.ts';
import { renderPeer } from '../render-peer.ts';
import { renderStatus } from '../render-status.ts';
import type { Terminal } from '../terminal.ts';

export const status: Command<'GET /v1/status'> = {
  name: 'status',
  arguments: { '[PEER]': 'ID of a peer' },
  options: [
    { flags: '--check', help: `end with ${exitCode.down} where a peer, or the one named, is down` },
    { flags: '--wide', help: 'every column, however wide the terminal is' },
  ],
  help: 'the node, its neighbors, and every peer with its path; or all about one peer',
  route: 'GET /v1/status',
  show(report, { args: [id], options }) {
    const codeFor = (down: boolean) => (options.check && down ? exitCode.down : exitCode.ok);
    if (id === undefined) {
      const text = (terminal: Terminal) =>
        renderStatus(report, options.wide ? { ...terminal, width: Number.POSITIVE_INFINITY } : terminal);
      return { json: report, text, exitCode: codeFor(report.peers.some(isDown)) };
    }
    const peer = peerCalled(id, report);
    const text = (terminal: Terminal) => renderPeer(peer, report, terminal);
    return { json: peer, text, exitCode: codeFor(isDown(peer)) };
  },
};

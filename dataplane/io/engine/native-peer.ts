/**
 * node-datachannel's peer connections and datachannels with their traps closed: wrappers that the garbage collector
 * takes before the library is done with them crash the process, and several methods throw when they come late.
 */

import {
  type DataChannel,
  PeerConnection,
  type RtcConfig,
  type SelectedCandidateInfo,
  setSctpSettings,
} from 'node-datachannel';
import { loadAddon } from '../native.ts';
import { type ChannelName, channelStream } from '../webrtc.ts';

export type { DataChannel, PeerConnection, RtcConfig };

/** Wrappers stay here until the library has said that it is done with them. */
const retained = new Set<PeerConnection | DataChannel>();

/** How many wrappers the library is not done with yet. */
export function retainedCount(): number {
  return retained.size;
}

let configured = false;

/** Process-wide, and only before the first peer connection. */
export function configureLibrary(): void {
  if (configured) return;
  configured = true;
  // Half the library's send buffer: as fast, with half the queueing delay; bigger ones than the library's collapse under
  // load.
  setSctpSettings({ sendBufferSize: 524_288, recvBufferSize: 1_048_576 });
  try {
    // Without it the library drops IPv4 candidates on a host with IPv6 alone, where a relay reaches them.
    loadAddon().admitLiterals('node_datachannel.node');
  } catch {
    // Without the addon there are no interfaces either, which says so itself.
  }
}

export function openPeer(config: RtcConfig, onState: (state: string) => void = () => {}): PeerConnection {
  const peer = new PeerConnection('cryonet', config);
  retained.add(peer);
  peer.onStateChange((state) => {
    if (state === 'closed') retained.delete(peer);
    onState(state);
  });
  return peer;
}

/** Adds one of our channels; on a new peer connection the first one also makes the offer. Throws what the library
 *  throws. */
export function openChannel(peer: PeerConnection, name: ChannelName): DataChannel {
  const reliability = name === 'data' ? { unordered: true, maxRetransmits: 0 } : {};
  const channel = peer.createDataChannel(name, { negotiated: true, id: channelStream[name], ...reliability });
  retained.add(channel);
  channel.onClosed(() => retained.delete(channel));
  return channel;
}

export function closePeer(peer: PeerConnection): void {
  try {
    peer.close();
  } catch {
    // Closed already.
  }
}

export function selectedPair(
  peer: PeerConnection | undefined,
): { local: SelectedCandidateInfo; remote: SelectedCandidateInfo } | undefined {
  try {
    return peer?.getSelectedCandidatePair() ?? undefined;
  } catch {
    return undefined;
  }
}

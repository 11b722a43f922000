/** Peers in the status report. */
import { CryonetError } from '../protocol/errors.ts';
import type { PeerStatus, StatusReport } from '../protocol/status.ts';

/** Throws `bad_config` where the node knows no such peer. */
export function peerCalled(id: string, { peers }: StatusReport): PeerStatus {
  const peer = peers.find((each) => each.id === id);
  if (peer !== undefined) return peer;
  const known = peers.map((each) => each.id).join(' ');
  throw new CryonetError('bad_config', `no peer is called ${id}; known are: ${known || 'none'}`);
}

export function upOf(peers: readonly PeerStatus[]): PeerStatus[] {
  return peers.filter(({ state }) => state === 'up');
}

/** Whether the peer has no link though it should. A link that a policy denies is meant to be none. */
export function isDown({ state }: PeerStatus): boolean {
  return state !== 'up' && state !== 'denied';
}

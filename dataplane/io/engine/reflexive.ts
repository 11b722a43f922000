/** What a STUN server sees one of our ports at, asked by a peer connection that negotiates with nobody. */
import { closePeer, openChannel, openPeer, type RtcConfig } from './native-peer.ts';
import { parseCandidate } from './sdp.ts';

/** Milliseconds: two of libjuice's sendings. */
const patience = 1_500;

/** The server-reflexive candidates; none where no server answers. Never rejects. */
export async function reflexiveCandidates(config: RtcConfig): Promise<readonly string[]> {
  const found: string[] = [];
  const { promise: gathered, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, patience);
  try {
    const peer = openPeer(config);
    peer.onLocalCandidate((line) => {
      const candidate = line.replace(/^a=/, '');
      if (parseCandidate(candidate)?.type === 'srflx') found.push(candidate);
    });
    peer.onGatheringStateChange((state) => {
      if (state === 'complete') resolve();
    });
    try {
      openChannel(peer, 'signal');
      await gathered;
    } finally {
      closePeer(peer);
    }
  } catch {
    // The library has no room for another one: then there is no news.
  }
  clearTimeout(timer);
  return found;
}

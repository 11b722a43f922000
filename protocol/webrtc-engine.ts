import type { Environment } from './paths.ts';

/**
 * The WebRTC engines of a dataplane. werift checks neither the signatures of the DTLS handshake nor its end. So whoever is
 * on the way can be the far end of its connections, and packets on datachannels have no protection but DTLS.
 */
export type WebrtcEngine = 'node-datachannel' | 'werift';

/** What `--webrtc` takes, for error messages. */
export const takenEngine = 'node-datachannel (werift, which does not verify its peers, is for tests alone)';

/** The engine of that name; undefined if there is none, and for werift unless `CRYONET_UNVERIFIED_DTLS=1`, which tests
 *  set because they own both ends of their links. */
export function readWebrtcEngine(name: string, env: Environment): WebrtcEngine | undefined {
  if (name === 'werift') return env.CRYONET_UNVERIFIED_DTLS === '1' ? name : undefined;
  return name === 'node-datachannel' ? name : undefined;
}

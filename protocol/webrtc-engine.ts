/**
 * The WebRTC engines that a dataplane has. werift checks neither the signatures of DTLS's handshake nor its end, so that
 * whoever is on the way can be the far end of its connections, and packets there have no other protection than DTLS.
 */
export type WebrtcEngine = 'node-datachannel' | 'werift';

/** What `--webrtc` takes, as its refusals say it. */
export const takenEngine = 'node-datachannel (werift, which does not verify its peers, is for tests alone)';

/** The engine of that name; undefined for what is none, and for one that is not to be used: tests, which know all their
 *  peers, say `CRYONET_UNVERIFIED_DTLS=1`. */
export function readWebrtcEngine(
  name: string,
  env: Readonly<Record<string, string | undefined>>,
): WebrtcEngine | undefined {
  if (name === 'werift') return env.CRYONET_UNVERIFIED_DTLS === '1' ? name : undefined;
  return name === 'node-datachannel' ? name : undefined;
}

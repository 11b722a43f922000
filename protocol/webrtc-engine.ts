/**
 * The WebRTC engines of a dataplane. werift checks neither the signatures of the DTLS handshake nor its end. That is no
 * matter here: what goes by datachannels is sealed under a link's own keys.
 */
export const webrtcEngines = ['node-datachannel', 'werift'] as const;

export type WebrtcEngine = (typeof webrtcEngines)[number];

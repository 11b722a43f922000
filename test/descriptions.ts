/** Descriptions as control knows them, without a dataplane. */
import { ciphertextSize, encapsulationKeySize, type LinkKeys } from '../protocol/keys.ts';

export const offeredKeys = keysOf(encapsulationKeySize);
export const answeredKeys = keysOf(ciphertextSize);

/** Of two nodes that both started then. */
export const epochs = { ours: 1, theirs: 1 };

function keysOf(kemSize: number): LinkKeys {
  return {
    index: 7,
    x25519: new Uint8Array(32).fill(9),
    kem: new Uint8Array(kemSize),
    ciphers: ['aes-256-gcm', 'chacha20-poly1305'],
    ecn: true,
    udp: true,
  };
}

/** Of a connection, and candidates of it, as a library writes them. */
export const sdp = [
  ...['v=0', 'o=- 1 0 IN IP4 127.0.0.1', 's=-', 't=0 0'],
  `a=fingerprint:sha-256 ${Array.from({ length: 32 }, () => 'AB').join(':')}`,
  ...['m=application 9 UDP/DTLS/SCTP webrtc-datachannel', 'c=IN IP4 0.0.0.0', 'a=mid:0', 'a=setup:actpass'],
  ...['a=ice-ufrag:abcd', 'a=ice-pwd:0123456789abcdefghijkl', 'a=end-of-candidates', ''],
].join('\r\n');
export const candidates = [
  'candidate:1 1 UDP 2122317823 192.0.2.1 2333 typ host',
  'a=candidate:2 1 udp 1686109439 2001:db8::1 40000 typ srflx raddr 0.0.0.0 rport 0',
];

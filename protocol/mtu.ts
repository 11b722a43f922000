/** Bounds of the MTU of interfaces, in bytes. */

/** The packet information in front of each packet (struct tun_pi, linux/if_tun.h). No MTU includes it. */
export const packetInformationBytes = 4;

/** Every path of IPv6 takes packets of this length (RFC 8200 section 5). */
export const leastMtu = 1280;

/** An IPv4 packet has at most 65,535 bytes (RFC 791), and so has a packet with its packet information. */
export const greatestMtu = 65_535 - packetInformationBytes;

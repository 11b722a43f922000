/*
 * Explicit congestion notification through the tunnel (RFC 6040): the mark that a packet has goes outside, in normal mode
 * (section 4.1), and what routers on the way make of it comes inside again (section 4.2, figure 4). Nothing but that is
 * taken from outside. Pure.
 */
#ifndef CRYONET_ECN_H
#define CRYONET_ECN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The two low bits of an IPv4 TOS octet or an IPv6 traffic class (RFC 3168, section 5). The six above are the DSCP. */
enum ecn { ECN_NOT_ECT = 0, ECN_ECT1 = 1, ECN_ECT0 = 2, ECN_CE = 3 };
#define ECN_BITS 3u

/* Whether the packet behind struct tun_pi (linux/if_tun.h) is IP; NULL: it has none in front, and is. */
bool ecn_is_ip(const uint8_t *pi);
/* The whole octet of an IPv4 or IPv6 packet; 0 for anything else. */
uint8_t ecn_octet(const uint8_t *packet, size_t length);
/* Marks a packet that came in one with `outer`, and mends its IPv4 checksum. False where it is to be dropped: it cannot say
 * that there is congestion, or is not IP. */
bool ecn_bring_in(uint8_t *packet, size_t length, enum ecn outer);

#endif

/* The Internet checksum (RFC 1071). Pure. */
#ifndef CRYONET_CHECKSUM_H
#define CRYONET_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Adds `length` bytes to a sum that is not folded yet, in host order; an odd last byte counts as followed by zero.
 * Adding pieces one after the other is right while each but the last has an even length. */
uint64_t checksum_add(uint64_t sum, const void *bytes, size_t length);
/* The 16 bits to store as they lie in memory, not complemented. */
uint16_t checksum_fold(uint64_t sum);
/* The sum over the pseudo-header of an IPv4 or IPv6 packet for `length` bytes of transport header and payload. */
uint64_t checksum_pseudo_ipv4(const uint8_t *ip, uint8_t protocol, uint32_t length);
uint64_t checksum_pseudo_ipv6(const uint8_t *ip, uint8_t protocol, uint32_t length);

#endif

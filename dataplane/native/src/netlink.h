/* rtnetlink(7) requests, one socket and one acknowledgement each: works with no more than CAP_NET_ADMIN, and without
 * /proc/sys. Every function returns 0 or the errno with which the kernel refused. */
#ifndef CRYONET_NETLINK_H
#define CRYONET_NETLINK_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

int netlink_set_mtu(unsigned ifindex, uint32_t bytes);
int netlink_set_queue_length(unsigned ifindex, uint32_t packets);
/* At most 255 bytes, else ERANGE. */
int netlink_set_alias(unsigned ifindex, const char *alias);
/* The kernel shall make no IPv6 link-local address of its own (IN6_ADDR_GEN_MODE_NONE). */
int netlink_stop_address_generation(unsigned ifindex);
int netlink_set_up(unsigned ifindex);
/* Adds, or keeps, an IPv6 address without duplicate address detection. */
int netlink_add_address(unsigned ifindex, const struct in6_addr *address, uint8_t prefix_length);
/* Removes every IPv6 address of the interface but one. */
int netlink_remove_other_addresses(unsigned ifindex, const struct in6_addr *kept);
/* The interface out of which a packet to `address` (in_addr or in6_addr, by `family`) would leave; ENETUNREACH where
 * the route forbids rather than forwards. */
int netlink_route(int family, const void *address, unsigned *ifindex);

#endif

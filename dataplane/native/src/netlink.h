/* rtnetlink(7) requests, one socket and one acknowledgement each: works with no more than CAP_NET_ADMIN, and without
 * /proc/sys. Every function returns 0 or the errno with which the kernel refused. */
#ifndef CRYONET_NETLINK_H
#define CRYONET_NETLINK_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

struct netlink_settings {
  uint32_t mtu;          /* bytes */
  uint32_t queue_length; /* packets */
  const char *alias;     /* at most 255 bytes, else ERANGE; "" for none */
};

/* All that a new interface needs before it is up, by one request: these settings, no IPv6 link-local address of the
 * kernel's own, no reverse path filter of IPv4, and ICMP redirects of IPv4 neither believed nor sent. */
int netlink_configure(unsigned ifindex, const struct netlink_settings *settings);
int netlink_set_mtu(unsigned ifindex, uint32_t bytes);
/* The kernel shall make no IPv6 link-local address of its own (IN6_ADDR_GEN_MODE_NONE). */
int netlink_stop_address_generation(unsigned ifindex);
/* Packets that the interface had no room for on their way out, since it is there (IFLA_STATS64). */
int netlink_dropped(unsigned ifindex, uint64_t *packets);
int netlink_set_up(unsigned ifindex);
/* Adds, or keeps, an IPv6 address without duplicate address detection. */
int netlink_add_address(unsigned ifindex, const struct in6_addr *address, uint8_t prefix_length);
/* Adds an address (in_addr or in6_addr, by `family`), IPv6 without duplicate address detection: EEXIST where the interface
 * has it. */
int netlink_give_address(unsigned ifindex, int family, const void *address, uint8_t prefix_length);
/* Removes it, where it is there. */
int netlink_take_address(unsigned ifindex, int family, const void *address, uint8_t prefix_length);
/* Removes every IPv6 address of the interface but one. */
int netlink_remove_other_addresses(unsigned ifindex, const struct in6_addr *kept);
/* Reverse path filter of IPv4 (IPV4_DEVCONF_RP_FILTER): 0 none, 1 strict, 2 loose (RFC 3704). */
int netlink_set_rp_filter(unsigned ifindex, uint32_t mode);

struct netlink_route {
  unsigned ifindex;
  /* in_addr or in6_addr: what the kernel would send from. */
  int has_source;
  unsigned char source[sizeof(struct in6_addr)];
};

/* The way of a packet with `mark` (0: none) to `address` (in_addr or in6_addr, by `family`). ENETUNREACH where there is
 * none; as the kernel answers for IPv4, EHOSTUNREACH, EACCES or EINVAL where the route is there to forbid it: of type
 * unreachable, prohibit or blackhole. */
int netlink_route(int family, const void *address, uint32_t mark, struct netlink_route *route);

struct netlink_link {
  unsigned ifindex;
  unsigned flags;         /* IFF_* of net/if.h */
  const char *name;
  const char *kind;       /* IFLA_INFO_KIND; "" where the driver has none: hardware, loopback */
  uint32_t rp_filter;     /* as above; 0 where the interface has no IPv4 */
};

struct netlink_address {
  unsigned ifindex;
  int family;             /* AF_INET or AF_INET6 */
  const void *address;    /* our own end: in_addr or in6_addr */
  uint32_t flags;         /* IFA_F_* of linux/if_addr.h */
  uint8_t prefix_length;
  uint8_t scope;          /* RT_SCOPE_* of linux/rtnetlink.h */
};

/* Visits every interface, and every address of every interface. What is pointed to is the visitor's for the call. */
int netlink_each_link(void (*visit)(const struct netlink_link *link, void *context), void *context);
int netlink_each_address(void (*visit)(const struct netlink_address *address, void *context), void *context);

#endif

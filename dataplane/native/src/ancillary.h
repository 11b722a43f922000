/*
 * What goes beside a datagram, as control messages of sendmsg and recvmsg: the length of its segments (udp(7)), its TOS octet
 * or traffic class, and which address of ours it leaves from or came to (ip(7), ipv6(7)).
 */
#ifndef CRYONET_ANCILLARY_H
#define CRYONET_ANCILLARY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "outer.h"

/* An address of this machine, IPv4 as a mapped one; zeros: none, the kernel chooses. */
struct own_address {
  struct in6_addr address;
};

/* Where a datagram comes from or goes to, and our end of it. */
struct ends {
  struct endpoint far;
  struct own_address own;
};

struct ancillary {
  uint32_t segment; /* bytes of each datagram of several; 0: there is one */
  uint8_t octet;    /* TOS or traffic class */
  uint32_t lost;    /* datagrams that found no room in the socket before this one, since it was opened */
  struct own_address own;
};

/* Room for whatever recvmsg may say on our sockets. */
#define ANCILLARY_ROOM 256u

bool own_address_is_set(const struct own_address *own);
bool own_address_equals(const struct own_address *a, const struct own_address *b);
/* Whether it is of the family in which packets go to `far`. */
bool own_address_fits(const struct own_address *own, const struct endpoint *far);
/* Numeric, an IPv4 address as such; "" for none. */
void own_address_text(const struct own_address *own, char text[64]);

/* Sends `length` bytes to `far`, as datagrams of `with->segment` bytes where there is one. An address of another family
 * than that of `far` is left out. 0 or errno. */
int ancillary_send(int socket, const struct endpoint *far, const struct ancillary *with, const uint8_t *bytes,
                   size_t length);
/* What recvmsg said. */
struct ancillary ancillary_of(struct msghdr *message);

#endif

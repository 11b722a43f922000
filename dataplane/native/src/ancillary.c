#include "ancillary.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

/* Room for all that goes with one call, each aligned as the kernel wants it. */
union control {
  struct cmsghdr header;
  char space[CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

bool own_address_is_set(const struct own_address *own) { return !IN6_IS_ADDR_UNSPECIFIED(&own->address); }

bool own_address_equals(const struct own_address *a, const struct own_address *b) {
  return IN6_ARE_ADDR_EQUAL(&a->address, &b->address);
}

bool own_address_fits(const struct own_address *own, const struct endpoint *far) {
  return own_address_is_set(own) && IN6_IS_ADDR_V4MAPPED(&own->address) == endpoint_is_ipv4(far);
}

void own_address_text(const struct own_address *own, char text[64]) {
  text[0] = '\0';
  if (IN6_IS_ADDR_V4MAPPED(&own->address)) inet_ntop(AF_INET, &own->address.s6_addr[12], text, 64);
  else if (own_address_is_set(own)) inet_ntop(AF_INET6, &own->address, text, 64);
}

/* Puts one message behind the others. */
static void add(struct msghdr *message, int level, int type, const void *value, size_t length) {
  struct cmsghdr *part = (struct cmsghdr *)((char *)message->msg_control + message->msg_controllen);
  *part = (struct cmsghdr){.cmsg_level = level, .cmsg_type = type, .cmsg_len = CMSG_LEN(length)};
  memcpy(CMSG_DATA(part), value, length);
  message->msg_controllen += CMSG_SPACE(length);
}

static void add_octet(struct msghdr *message, bool ipv4, int octet) {
  if (ipv4) add(message, IPPROTO_IP, IP_TOS, &octet, sizeof octet);
  else add(message, IPPROTO_IPV6, IPV6_TCLASS, &octet, sizeof octet);
}

/* Without an interface: rules and routes decide by the address alone. */
static void add_own(struct msghdr *message, const struct own_address *own) {
  if (IN6_IS_ADDR_V4MAPPED(&own->address)) {
    struct in_pktinfo ipv4 = {0};
    memcpy(&ipv4.ipi_spec_dst, &own->address.s6_addr[12], sizeof ipv4.ipi_spec_dst);
    add(message, IPPROTO_IP, IP_PKTINFO, &ipv4, sizeof ipv4);
  } else {
    struct in6_pktinfo ipv6 = {.ipi6_addr = own->address};
    add(message, IPPROTO_IPV6, IPV6_PKTINFO, &ipv6, sizeof ipv6);
  }
}

int ancillary_send(int socket, const struct endpoint *far, const struct ancillary *with, const uint8_t *bytes,
                   size_t length) {
  union control control = {0};
  struct iovec part = {(uint8_t *)bytes, length};
  struct msghdr message = {
      .msg_name = (void *)&far->address,
      .msg_namelen = far->length,
      .msg_iov = &part,
      .msg_iovlen = 1,
      .msg_control = control.space,
  };
  uint16_t segment = (uint16_t)with->segment;
  if (segment > 0) add(&message, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment);
  if (with->octet != 0) add_octet(&message, endpoint_is_ipv4(far), with->octet);
  if (own_address_fits(&with->own, far)) add_own(&message, &with->own);
  if (message.msg_controllen == 0) message.msg_control = NULL;
  while (sendmsg(socket, &message, MSG_DONTWAIT) < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

struct ancillary ancillary_of(struct msghdr *message) {
  struct ancillary with = {0};
  for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL; part = CMSG_NXTHDR(message, part)) {
    if (part->cmsg_level == SOL_UDP && part->cmsg_type == UDP_GRO) {
      int size;
      memcpy(&size, CMSG_DATA(part), sizeof size);
      if (size > 0) with.segment = (uint32_t)size;
    } else if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SO_RXQ_OVFL) {
      memcpy(&with.lost, CMSG_DATA(part), sizeof with.lost);
    } else if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_TOS) {
      with.octet = *CMSG_DATA(part);
    } else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_TCLASS) {
      int octet;
      memcpy(&octet, CMSG_DATA(part), sizeof octet);
      with.octet = (uint8_t)octet;
    } else if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
      struct in_pktinfo ipv4;
      memcpy(&ipv4, CMSG_DATA(part), sizeof ipv4);
      if (ipv4.ipi_spec_dst.s_addr == INADDR_ANY) continue;
      /* Not where it was sent to, which may be a broadcast address. */
      with.own.address.s6_addr[10] = with.own.address.s6_addr[11] = 0xff;
      memcpy(&with.own.address.s6_addr[12], &ipv4.ipi_spec_dst, sizeof ipv4.ipi_spec_dst);
    } else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
      struct in6_pktinfo ipv6;
      memcpy(&ipv6, CMSG_DATA(part), sizeof ipv6);
      bool usable = !IN6_IS_ADDR_V4MAPPED(&ipv6.ipi6_addr) && !IN6_IS_ADDR_MULTICAST(&ipv6.ipi6_addr);
      if (usable) with.own.address = ipv6.ipi6_addr;
    }
  }
  return with;
}

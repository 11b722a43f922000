/*
 * What of a peer's packets may reach the kernel: nothing that configures this node, and no protocol that a link does not
 * carry. Pure.
 */
#ifndef CRYONET_ADMISSION_H
#define CRYONET_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum admission {
  ADMITTED,
  /* A router advertisement (RFC 4861, section 4.2) or a redirect (section 4.5; RFC 792), behind extension headers and in
   * pieces too; or a first fragment, or a chain of headers, that does not show what it is. */
  ADMISSION_CONFIGURES,
  /* With packet information: neither IPv4 nor IPv6 nor MPLS. */
  ADMISSION_PROTOCOL,
};

/* `pi`: struct tun_pi (linux/if_tun.h) is in front of the packet. */
enum admission admission_of(const uint8_t *packet, size_t length, bool pi);

#endif

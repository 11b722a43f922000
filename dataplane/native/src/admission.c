#include "admission.h"

#include <linux/if_ether.h>
#include <linux/if_tun.h>

#define IPV4_HEADER 20u
#define IPV6_HEADER 40u
/* Extension headers of one packet; RFC 8200 knows six, each of which comes once, or twice. */
#define MOST_HEADERS 12u

enum protocol {
  HOP_BY_HOP = 0,
  ICMP = 1,
  ROUTING = 43,
  FRAGMENT = 44,
  AUTHENTICATION = 51,
  ICMPV6 = 58,
  DESTINATION = 60,
  MOBILITY = 135,
  HIP = 139,
  SHIM6 = 140,
};

enum type { REDIRECT = 5, ROUTER_ADVERTISEMENT = 134, REDIRECT_V6 = 137 };

static unsigned word_at(const uint8_t *bytes) { return bytes[0] * 256u + bytes[1]; }

static enum admission of_ipv4(const uint8_t *packet, size_t length) {
  if (length < IPV4_HEADER || packet[9] != ICMP) return ADMITTED;
  unsigned fragment = word_at(packet + 6);
  if ((fragment & 0x1fffu) != 0) return ADMITTED; /* not the first: without that, no more than bytes */
  size_t header = (packet[0] & 15u) * 4u;
  bool whole = (fragment & 0x2000u) == 0;
  if (header >= length) return whole ? ADMITTED : ADMISSION_CONFIGURES;
  return packet[header] == REDIRECT ? ADMISSION_CONFIGURES : ADMITTED;
}

static bool is_extension(unsigned protocol) {
  switch (protocol) {
    case HOP_BY_HOP:
    case ROUTING:
    case FRAGMENT:
    case AUTHENTICATION:
    case DESTINATION:
    case MOBILITY:
    case HIP:
    case SHIM6:
      return true;
    default:
      return false;
  }
}

static enum admission of_ipv6(const uint8_t *packet, size_t length) {
  if (length < IPV6_HEADER) return ADMITTED;
  unsigned protocol = packet[6];
  size_t at = IPV6_HEADER;
  bool whole = true;
  for (unsigned headers = 0; is_extension(protocol); headers++) {
    if (headers == MOST_HEADERS || at + 8 > length) return ADMISSION_CONFIGURES;
    const uint8_t *header = packet + at;
    if (protocol == FRAGMENT) {
      unsigned fragment = word_at(header + 2);
      if ((fragment & 0xfff8u) != 0) return ADMITTED;
      if ((fragment & 1u) != 0) whole = false;
      at += 8;
    } else {
      at += protocol == AUTHENTICATION ? (header[1] + 2u) * 4u : (header[1] + 1u) * 8u;
    }
    protocol = header[0];
  }
  if (protocol != ICMPV6) return ADMITTED;
  if (at >= length) return whole ? ADMITTED : ADMISSION_CONFIGURES;
  return packet[at] == ROUTER_ADVERTISEMENT || packet[at] == REDIRECT_V6 ? ADMISSION_CONFIGURES : ADMITTED;
}

enum admission admission_of(const uint8_t *packet, size_t length, bool pi) {
  if (!pi) {
    unsigned version = length == 0 ? 0 : packet[0] >> 4;
    return version == 6 ? of_ipv6(packet, length) : version == 4 ? of_ipv4(packet, length) : ADMITTED;
  }
  if (length < sizeof(struct tun_pi)) return ADMISSION_PROTOCOL;
  const uint8_t *content = packet + sizeof(struct tun_pi);
  size_t rest = length - sizeof(struct tun_pi);
  switch (word_at(packet + 2)) {
    case ETH_P_IP:
      return of_ipv4(content, rest);
    case ETH_P_IPV6:
      return of_ipv6(content, rest);
    case ETH_P_MPLS_UC:
    case ETH_P_MPLS_MC:
      return ADMITTED;
    default:
      return ADMISSION_PROTOCOL;
  }
}

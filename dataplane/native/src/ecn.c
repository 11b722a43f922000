#include "ecn.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <string.h>

#define IPV4_HEADER 20u
#define IPV4_CHECKSUM 10
#define IPV6_HEADER 40u

static bool is_ipv4(const uint8_t *packet, size_t length) { return length >= IPV4_HEADER && packet[0] >> 4 == 4; }

static bool is_ipv6(const uint8_t *packet, size_t length) { return length >= IPV6_HEADER && packet[0] >> 4 == 6; }

bool ecn_is_ip(const uint8_t *pi) {
  if (pi == NULL) return true;
  unsigned type = pi[2] * 256u + pi[3];
  return type == ETH_P_IP || type == ETH_P_IPV6;
}

uint8_t ecn_octet(const uint8_t *packet, size_t length) {
  if (is_ipv4(packet, length)) return packet[1];
  if (is_ipv6(packet, length)) return (uint8_t)((packet[0] & 15u) << 4 | packet[1] >> 4);
  return 0;
}

static uint16_t word_at(const uint8_t *bytes) {
  uint16_t word;
  memcpy(&word, bytes, sizeof word);
  return ntohs(word);
}

static void mark(uint8_t *packet, bool ipv4, enum ecn as) {
  if (!ipv4) {
    packet[1] = (uint8_t)((packet[1] & ~(ECN_BITS << 4)) | (unsigned)as << 4);
    return;
  }
  uint16_t before = word_at(packet);
  packet[1] = (uint8_t)((packet[1] & ~ECN_BITS) | (unsigned)as);
  /* RFC 1624, equation 3: a wrong checksum stays wrong. */
  uint32_t sum = (uint16_t)~word_at(packet + IPV4_CHECKSUM) + (uint32_t)(uint16_t)~before + word_at(packet);
  sum = (sum & 0xffff) + (sum >> 16);
  uint16_t checksum = htons((uint16_t)~((sum & 0xffff) + (sum >> 16)));
  memcpy(packet + IPV4_CHECKSUM, &checksum, sizeof checksum);
}

bool ecn_bring_in(uint8_t *packet, size_t length, enum ecn outer) {
  bool ipv4 = is_ipv4(packet, length);
  enum ecn inner = ecn_octet(packet, length) & ECN_BITS;
  if (!ipv4 && !is_ipv6(packet, length)) return outer != ECN_CE;
  if (inner == ECN_NOT_ECT) return outer != ECN_CE;
  bool marks = outer == ECN_CE || (outer == ECN_ECT1 && inner == ECN_ECT0);
  if (marks && inner != ECN_CE) mark(packet, ipv4, outer);
  return true;
}

/*
 * Marks that come inside: each pair of RFC 6040, figure 4, over IPv4 and IPv6, with every value of the checksum, and what
 * is no packet. Exits 0 when nothing else of any packet changed.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checksum.h"
#include "ecn.h"

#define DROP 4

/* RFC 6040, figure 4: by inner and outer, in the order of the bits: Not-ECT, ECT(1), ECT(0), CE. */
static const uint8_t table[4][4] = {
    {ECN_NOT_ECT, ECN_NOT_ECT, ECN_NOT_ECT, DROP},
    {ECN_ECT1, ECN_ECT1, ECN_ECT1, ECN_CE},
    {ECN_ECT0, ECN_ECT1, ECN_ECT0, ECN_CE},
    {ECN_CE, ECN_CE, ECN_CE, ECN_CE},
};

static void expect(const char *what, unsigned got, unsigned expected, unsigned inner, unsigned outer) {
  if (got == expected) return;
  fprintf(stderr, "%s, inner %u, outer %u: %u, not %u\n", what, inner, outer, got, expected);
  abort();
}

static void check_ipv4(unsigned dscp, unsigned inner, unsigned outer, unsigned identification, bool right) {
  uint8_t packet[21] = {0x45, (uint8_t)(dscp << 2 | inner), 0, 21, (uint8_t)(identification >> 8),
                        (uint8_t)identification, 0x40, 0, 64, 6, [12] = 10, [15] = 1, 10, 0, 0, 2, 7};
  uint8_t before[sizeof packet];
  uint16_t sum = (uint16_t)~checksum_fold(checksum_add(0, packet, 20));
  if (!right) sum ^= 0x1234;
  memcpy(packet + 10, &sum, sizeof sum);
  memcpy(before, packet, sizeof packet);
  bool taken = ecn_bring_in(packet, sizeof packet, outer);
  expect("taken", taken, table[inner][outer] != DROP, inner, outer);
  if (!taken) return;
  expect("mark", ecn_octet(packet, sizeof packet), dscp << 2 | table[inner][outer], inner, outer);
  unsigned holds = checksum_fold(checksum_add(0, packet, 20)) == 0xffff;
  expect("checksum holds", holds, right, inner, outer);
  unsigned unlike_any = packet[10] == 0xff && packet[11] == 0xff && right;
  expect("a checksum that no sender writes", unlike_any, 0, inner, outer);
  before[1] = packet[1];
  memcpy(before + 10, packet + 10, 2);
  expect("other bytes", memcmp(before, packet, sizeof packet) != 0, 0, inner, outer);
}

static void check_ipv6(unsigned dscp, unsigned inner, unsigned outer) {
  uint8_t packet[41];
  uint8_t before[sizeof packet];
  memset(packet, 0xa5, sizeof packet);
  unsigned octet = dscp << 2 | inner;
  packet[0] = (uint8_t)(0x60 | octet >> 4);
  packet[1] = (uint8_t)(octet << 4 | 0x0b);
  memcpy(before, packet, sizeof packet);
  bool taken = ecn_bring_in(packet, sizeof packet, outer);
  expect("taken", taken, table[inner][outer] != DROP, inner, outer);
  if (!taken) return;
  expect("mark", ecn_octet(packet, sizeof packet), dscp << 2 | table[inner][outer], inner, outer);
  before[1] = (uint8_t)((before[1] & 0xcf) | table[inner][outer] << 4);
  expect("other bytes", memcmp(before, packet, sizeof packet) != 0, 0, inner, outer);
}

/* Bytes of no packet, or of less than a header, carry no mark. */
static void check_none(const uint8_t *bytes, size_t length, unsigned outer) {
  uint8_t packet[64];
  memcpy(packet, bytes, length);
  expect("taken", ecn_bring_in(packet, length, outer), outer != ECN_CE, 0, outer);
  expect("other bytes", memcmp(packet, bytes, length) != 0, 0, 0, outer);
  expect("octet", ecn_octet(packet, length), 0, 0, outer);
}

int main(void) {
  static const uint8_t cut4[19] = {0x45, 0xff};
  static const uint8_t cut6[39] = {0x6f, 0xff};
  static const uint8_t other[64] = {0x10, 0xff};
  for (unsigned outer = 0; outer < 4; outer++) {
    for (unsigned inner = 0; inner < 4; inner++) {
      for (unsigned dscp = 0; dscp < 64; dscp++) check_ipv6(dscp, inner, outer);
      for (unsigned id = 0; id < 65536; id++) check_ipv4(id % 64, inner, outer, id, id % 7 != 0);
    }
    check_none(cut4, sizeof cut4, outer);
    check_none(cut6, sizeof cut6, outer);
    check_none(other, sizeof other, outer);
    check_none(cut4, 0, outer);
  }
  static const uint8_t infos[][4] = {{0, 0, 0x08, 0x00}, {0, 0, 0x86, 0xdd}, {0, 0, 0x88, 0x47}};
  for (unsigned i = 0; i < 3; i++) expect("IP", ecn_is_ip(infos[i]), i < 2, i, 0);
  expect("IP", ecn_is_ip(NULL), 1, 0, 0);
  puts("every mark as in the table");
  return 0;
}

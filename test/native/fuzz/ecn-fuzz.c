/* Marks of any datagram over any packet: only the two bits and an IPv4 checksum change, and never by more than RFC 6040
 * allows. The first byte is the octet from outside. */
#include <stdlib.h>
#include <string.h>

#include "checksum.h"
#include "ecn.h"

#define ROOM 256u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0 || size - 1 > ROOM) return -1;
  enum ecn outer = data[0] & ECN_BITS;
  const uint8_t *before = data + 1;
  size_t length = size - 1;
  uint8_t *packet = malloc(length + 1);
  memcpy(packet, before, length);
  bool taken = ecn_bring_in(packet, length, outer);
  unsigned inner = ecn_octet(before, length) & ECN_BITS;
  unsigned after = ecn_octet(packet, length) & ECN_BITS;
  if (taken != (outer != ECN_CE || inner != ECN_NOT_ECT)) abort();
  if (!taken && memcmp(packet, before, length) != 0) abort();
  if (taken && after != inner && after != (unsigned)outer) abort();
  if (inner == ECN_CE && after != ECN_CE) abort();
  if (inner == ECN_NOT_ECT && after != ECN_NOT_ECT) abort();
  if (taken && outer == ECN_CE && after != ECN_CE) abort();
  bool ipv4 = length >= 20 && before[0] >> 4 == 4;
  uint8_t mended[ROOM];
  memcpy(mended, packet, length);
  if (ipv4) {
    uint16_t was = checksum_fold(checksum_add(0, before, 20));
    uint16_t is = checksum_fold(checksum_add(0, packet, 20));
    if (was != is && !(was % 0xffff == 0 && is % 0xffff == 0)) abort();
    memcpy(mended + 10, before + 10, 2);
    mended[1] = (uint8_t)((mended[1] & ~ECN_BITS) | (before[1] & ECN_BITS));
  } else if (length >= 40) {
    mended[1] = (uint8_t)((mended[1] & 0xcf) | (before[1] & 0x30));
  }
  if (memcmp(mended, before, length) != 0) abort();
  free(packet);
  return 0;
}

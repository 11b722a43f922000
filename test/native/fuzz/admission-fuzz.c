/* No bytes are read beyond a packet, and what plainly configures a node is never admitted, whatever is around it. */
#include <stdlib.h>
#include <string.h>

#include "admission.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return -1;
  size_t length = size - 1;
  uint8_t *packet = malloc(length > 0 ? length : 1);
  memcpy(packet, data + 1, length);
  bool pi = (data[0] & 1) != 0;
  enum admission admission = admission_of(packet, length, pi);
  size_t skipped = pi ? 4 : 0;
  bool ipv6 = pi ? length >= 4 && packet[2] == 0x86 && packet[3] == 0xdd : length > 0 && packet[0] >> 4 == 6;
  const uint8_t *inner = packet + skipped;
  if (ipv6 && length >= skipped + 41 && inner[6] == 58 && (inner[40] == 134 || inner[40] == 137)) {
    if (admission != ADMISSION_CONFIGURES) abort();
  }
  if (!pi && admission == ADMISSION_PROTOCOL) abort();
  /* Cut off anywhere behind its type, it is as before. */
  if (ipv6 && admission == ADMITTED && length > skipped + 41 && inner[6] == 58) {
    if (admission_of(packet, skipped + 41, pi) != ADMITTED) abort();
  }
  free(packet);
  return 0;
}

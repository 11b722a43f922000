/* Says of each packet of its input what becomes of it: a digit each. A packet is a byte, 1 where packet information is in
 * front, a big-endian u16, the length, and then that many bytes. */
#include <stdio.h>
#include <stdlib.h>

#include "admission.h"

int main(void) {
  unsigned char head[3];
  while (fread(head, 1, sizeof head, stdin) == sizeof head) {
    size_t length = head[1] * 256u + head[2];
    unsigned char *packet = malloc(length + 1);
    if (fread(packet, 1, length, stdin) != length) return 1;
    putchar('0' + (int)admission_of(packet, length, head[0] == 1));
    free(packet);
  }
  return 0;
}

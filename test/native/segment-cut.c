/*
 * Cuts packets for tests, each in memory that is exactly as long as it needs to be.
 *
 *   standard input, for each packet:  struct virtio_net_hdr, its length, its bytes
 *   standard output, for each packet: each piece's length and bytes; then 0, or REFUSED in place of all that
 *
 * Lengths have 32 bits in host order.
 */
#include <stdio.h>
#include <stdlib.h>

#include "segment.h"

#define REFUSED 0xffffffffu

static void write_number(uint32_t number) { fwrite(&number, sizeof number, 1, stdout); }

static void write_pieces(const struct virtio_net_hdr *header, uint8_t *packet, uint32_t length) {
  struct segment_cut cut;
  if (!segment_begin(&cut, header, packet, length)) {
    write_number(REFUSED);
    return;
  }
  uint32_t largest = segment_largest(&cut);
  uint8_t *piece = malloc(largest);
  if (piece == NULL) abort();
  for (uint32_t size; (size = segment_next(&cut, piece)) != 0;) {
    if (size > largest) abort();
    write_number(size);
    fwrite(piece, 1, size, stdout);
  }
  if (segment_next(&cut, piece) != 0) abort();
  free(piece);
  write_number(0);
}

int main(void) {
  struct virtio_net_hdr header;
  uint32_t length;
  while (fread(&header, sizeof header, 1, stdin) == 1 && fread(&length, sizeof length, 1, stdin) == 1) {
    uint8_t *packet = malloc(length);
    if (packet == NULL || fread(packet, 1, length, stdin) != length) abort();
    write_pieces(&header, packet, length);
    free(packet);
  }
  return fflush(stdout) == 0 ? 0 : 1;
}

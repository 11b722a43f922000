/*
 * Cuts packets for tests, each in memory that is exactly as long as it needs to be, where a piece that is done with is
 * overwritten. Each is cut a second time with its checksums left out: completed as the kernel does, the pieces are the
 * same.
 *
 *   standard input, for each packet:  struct virtio_net_hdr, its length, its bytes
 *   standard output, for each packet: each piece's length and bytes; then 0, or REFUSED in place of all that
 *
 * Lengths have 32 bits in host order.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segment.h"

#define REFUSED 0xffffffffu

static void write_number(uint32_t number) { fwrite(&number, sizeof number, 1, stdout); }

/* By what completes the checksum of a packet that is not to be cut. */
static void complete(uint8_t *piece, uint32_t length, uint16_t start, uint16_t offset) {
  struct virtio_net_hdr header = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = start, .csum_offset = offset};
  struct segment_cut cut;
  uint8_t *whole;
  if (!segment_begin(&cut, &header, piece, length)) abort();
  if (segment_leave_sums(&cut) || segment_next(&cut, &whole) != length || whole != piece) abort();
}

/* `packet` is `pieces` long, one after the other as they were cut with their checksums. */
static void leave_sums(const struct virtio_net_hdr *header, const uint8_t *packet, uint32_t length,
                       const uint8_t *pieces) {
  uint8_t *copy = malloc(length);
  if (copy == NULL) abort();
  memcpy(copy, packet, length);
  struct segment_cut cut;
  uint8_t *piece;
  if (!segment_begin(&cut, header, copy, length)) abort();
  if (segment_leave_sums(&cut)) {
    uint16_t start = packet[0] >> 4 == 6 ? 40 : 20;
    uint16_t offset = packet[start == 40 ? 6 : 9] == 17 ? 6 : 16;
    size_t field = start + offset;
    for (uint32_t size; (size = segment_next(&cut, &piece)) != 0; pieces += size) {
      uint8_t *own = malloc(size);
      memcpy(own, piece, size);
      memset(copy, 0xa5, (size_t)(piece - copy));
      complete(own, size, start, offset);
      /* Of what has two forms the kernel's two ways write one each: skb_checksum_help, and tcp_gso_segment. */
      if (offset == 16 && pieces[field] == 0 && pieces[field + 1] == 0) own[field] = own[field + 1] = 0;
      if (memcmp(own, pieces, size) != 0) abort();
      free(own);
    }
  }
  free(copy);
}

static void write_pieces(const struct virtio_net_hdr *header, uint8_t *packet, uint32_t length) {
  struct segment_cut cut;
  uint8_t *original = malloc(length);
  if (original == NULL) abort();
  memcpy(original, packet, length);
  if (!segment_begin(&cut, header, packet, length)) {
    write_number(REFUSED);
    free(original);
    return;
  }
  uint32_t largest = segment_largest(&cut);
  size_t room = (size_t)segment_pieces(&cut) * largest;
  uint8_t *pieces = malloc(room);
  if (pieces == NULL) abort();
  uint8_t *piece;
  size_t at = 0;
  for (uint32_t size; (size = segment_next(&cut, &piece)) != 0; at += size) {
    if (size > largest || room - at < size) abort();
    write_number(size);
    fwrite(piece, 1, size, stdout);
    memcpy(pieces + at, piece, size);
    memset(packet, 0x5a, (size_t)(piece - packet));
  }
  if (segment_next(&cut, &piece) != 0) abort();
  leave_sums(header, original, length, pieces);
  free(pieces);
  free(original);
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

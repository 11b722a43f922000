/*
 * Cuts arbitrary bytes. Input: a byte that says what to put right, struct virtio_net_hdr, the packet.
 *
 * Whatever comes: nothing outside of the packet is touched, and the pieces of what is accepted hold its payload, each as
 * long as it says, whatever becomes of those before it. Where the input asked for a right sum over the pseudo-header,
 * every checksum verifies, or holds that sum where it is left out.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "segment.h"

enum { RIGHT_LENGTHS = 1, RIGHT_SUM = 2, LEAVE_SUMS = 4 };

static void require(bool holds) {
  if (!holds) abort();
}

static uint32_t number_at(const uint8_t *bytes) { return (uint32_t)bytes[0] << 8 | bytes[1]; }

static void set_number(uint8_t *bytes, size_t number) {
  bytes[0] = (uint8_t)(number >> 8);
  bytes[1] = (uint8_t)number;
}

static uint32_t sum(uint32_t before, const uint8_t *bytes, size_t length) {
  for (size_t at = 0; at < length; at += 2) {
    before += (uint32_t)bytes[at] << 8 | (at + 1 < length ? bytes[at + 1] : 0);
    if (before > 0xffff) before -= 0xffff;
  }
  return before;
}

static bool is_ipv6(const uint8_t *packet) { return packet[0] >> 4 == 6; }

/* The addresses, the protocol and the length. */
static uint32_t pseudo(const uint8_t *packet, bool udp, size_t length) {
  const uint8_t end[] = {0, udp ? 17 : 6, (uint8_t)(length >> 8), (uint8_t)length};
  return is_ipv6(packet) ? sum(sum(0, end, 4), packet + 8, 32) : sum(sum(0, end, 4), packet + 12, 8);
}

static void put_lengths_right(uint8_t *packet, size_t length, const struct virtio_net_hdr *header) {
  if (length < 40) return;
  if (is_ipv6(packet)) {
    set_number(packet + 4, length - 40);
  } else {
    set_number(packet + 2, length);
  }
  uint32_t start = header->csum_start;
  if (header->csum_offset == 6 && start + 8 <= length) set_number(packet + start + 4, length - start);
}

static bool put_sum_right(uint8_t *packet, size_t length, const struct virtio_net_hdr *header) {
  size_t field = (size_t)header->csum_start + header->csum_offset;
  if (length < 40 || field + 2 > length || (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) == 0) return false;
  set_number(packet + field, pseudo(packet, header->csum_offset == 6, length - header->csum_start));
  return true;
}

/* One of several pieces. `transport` is where its TCP or UDP header begins, or 0 where the input did not say. */
static void check_piece(const uint8_t *piece, size_t length, uint32_t transport, bool udp, bool summed, bool left) {
  if (is_ipv6(piece)) {
    require(number_at(piece + 4) == length - 40);
  } else {
    require(number_at(piece + 2) == length);
    require(sum(0, piece, (piece[0] & 15) * 4) == 0xffff);
  }
  if (transport == 0) return;
  if (udp) require(number_at(piece + transport + 4) == length - transport && number_at(piece + transport + 6) != 0);
  if (left) require(!summed || number_at(piece + transport + (udp ? 6 : 16)) == pseudo(piece, udp, length - transport));
  else if (summed) require(sum(pseudo(piece, udp, length - transport), piece + transport, length - transport) == 0xffff);
}

static void check_whole(const uint8_t *piece, const uint8_t *original, size_t length, size_t field) {
  for (size_t at = 0; at < length; at++) require(piece[at] == original[at] || at == field || at == field + 1);
}

static void check_cut(struct segment_cut *cut, const struct virtio_net_hdr *header, const uint8_t *original,
                      size_t length, bool summed, bool left) {
  bool partial = (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0;
  bool udp = header->gso_type == 5;
  uint32_t largest = segment_largest(cut);
  require(largest > 0 && largest <= length);
  size_t own = largest == length ? 0 : largest - header->gso_size; /* bytes of header in each of several */
  uint8_t *packet = cut->packet;
  uint8_t *piece;
  size_t at = own;
  for (uint32_t size; (size = segment_next(cut, &piece)) != 0;) {
    require(size > own && (at + size - own == length || size == largest));
    if (own == 0) {
      check_whole(piece, original, size, partial ? (size_t)header->csum_start + header->csum_offset : length);
    } else {
      require(memcmp(piece + own, original + at, size - own) == 0);
      check_piece(piece, size, partial ? header->csum_start : 0, udp, summed, left);
    }
    at += size - own;
    memset(packet, (int)size, (size_t)(piece - packet));
  }
  require(at == length);
}

static void cut_packet(const struct virtio_net_hdr *header, uint8_t *packet, size_t length, uint8_t right) {
  if ((right & RIGHT_LENGTHS) != 0) put_lengths_right(packet, length, header);
  bool summed = (right & RIGHT_SUM) != 0 && put_sum_right(packet, length, header);
  uint8_t *original = malloc(length);
  require(original != NULL);
  memcpy(original, packet, length);
  struct segment_cut cut;
  if (segment_begin(&cut, header, packet, length)) {
    bool left = (right & LEAVE_SUMS) != 0 && segment_leave_sums(&cut);
    check_cut(&cut, header, original, length, summed, left);
  }
  free(original);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
  struct virtio_net_hdr header;
  if (size <= 1 + sizeof header) return 0;
  memcpy(&header, input + 1, sizeof header);
  size_t length = size - 1 - sizeof header;
  uint8_t *packet = malloc(length);
  require(packet != NULL);
  memcpy(packet, input + 1 + sizeof header, length);
  cut_packet(&header, packet, length, input[0]);
  free(packet);
  return 0;
}

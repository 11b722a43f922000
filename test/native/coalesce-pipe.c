/*
 * coalesce.h for tests: packets in, writes out. Numbers are u32 in host order.
 *
 *   in:  bytes that follow, options (1: UDP, 2: packet information, 4: partial, 8: no
 *        super-packet is taken, 16: no TCP), then for each packet its length and bytes
 *   out: bytes that follow, then for each write: packets joined in it, and of each of these parts its length and bytes:
 *        what was written; then, where more than one was joined, every packet that segment.h cuts it into
 *
 * Each packet is memory of its own, so that AddressSanitizer sees what is read beside it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coalesce.h"
#include "segment.h"

#define PARTS 1024
#define INFORMATION 4u

struct output {
  uint8_t *bytes;
  size_t length;
  size_t room;
  bool information;
  bool refuses;
};

static void fail(const char *what) {
  fprintf(stderr, "%s\n", what);
  abort();
}

static void put(struct output *output, const void *bytes, size_t length) {
  if (output->room - output->length < length) {
    output->room = output->room * 2 + length;
    output->bytes = realloc(output->bytes, output->room);
    if (output->bytes == NULL) fail("no memory");
  }
  if (length > 0) memcpy(output->bytes + output->length, bytes, length);
  output->length += length;
}

static void put_number(struct output *output, size_t number) {
  uint32_t four = (uint32_t)number;
  put(output, &four, sizeof four);
}

static void cut(struct output *output, const uint8_t *written, size_t length, unsigned packets) {
  size_t before = output->information ? INFORMATION : 0;
  struct virtio_net_hdr header;
  memcpy(&header, written + before, sizeof header);
  size_t rest = length - before - sizeof header;
  uint8_t *packet = malloc(rest);
  memcpy(packet, written + before + sizeof header, rest);
  struct segment_cut state;
  if (!segment_begin(&state, &header, packet, rest)) fail("cannot be cut");
  uint8_t *piece;
  for (uint32_t size; (size = segment_next(&state, &piece)) != 0; packets--) {
    put_number(output, before + size);
    put(output, written, before);
    put(output, piece, size);
  }
  if (packets != 0) fail("cut into another number of packets than were joined");
  free(packet);
}

static bool take(void *context, const struct iovec *parts, int count, unsigned packets) {
  struct output *output = context;
  if (count > PARTS) fail("more parts than writev takes");
  if (output->refuses && packets > 1) return false;
  size_t length = 0;
  for (int i = 0; i < count; i++) length += parts[i].iov_len;
  put_number(output, packets);
  put_number(output, length);
  size_t start = output->length;
  for (int i = 0; i < count; i++) put(output, parts[i].iov_base, parts[i].iov_len);
  if (packets == 1) return true;
  uint8_t *written = malloc(length);
  memcpy(written, output->bytes + start, length);
  cut(output, written, length, packets);
  free(written);
  return true;
}

static uint8_t **add_all(struct coalesce *coalesce, struct output *output, const uint8_t *input, size_t length) {
  uint32_t number;
  memcpy(&number, input, sizeof number);
  struct coalesce_options options = {.tcp = (number & 16) == 0,
                                     .udp = (number & 1) != 0,
                                     .packet_information = (number & 2) != 0,
                                     .partial = (number & 4) != 0};
  output->information = options.packet_information;
  output->refuses = (number & 8) != 0;
  uint8_t **packets = calloc(length, sizeof *packets);
  size_t at = sizeof number;
  for (uint32_t i = 0; at < length; i++) {
    memcpy(&number, input + at, sizeof number);
    packets[i] = malloc(number);
    memcpy(packets[i], input + at + sizeof number, number);
    at += sizeof number + number;
    if (!coalesce_add(coalesce, packets[i], number, options)) {
      coalesce_flush(coalesce, take, output);
      if (!coalesce_add(coalesce, packets[i], number, options)) fail("full after a flush");
    }
  }
  coalesce_flush(coalesce, take, output);
  return packets;
}

int main(void) {
  struct coalesce *coalesce = coalesce_new();
  for (uint32_t length; fread(&length, sizeof length, 1, stdin) == 1;) {
    uint8_t *input = malloc(length);
    if (fread(input, 1, length, stdin) != length) fail("the input ends");
    struct output output = {0};
    uint8_t **packets = add_all(coalesce, &output, input, length);
    uint32_t bytes = (uint32_t)output.length;
    fwrite(&bytes, sizeof bytes, 1, stdout);
    fwrite(output.bytes, 1, output.length, stdout);
    fflush(stdout);
    for (size_t i = 0; packets[i] != NULL; i++) free(packets[i]);
    free(packets);
    free(input);
    free(output.bytes);
  }
  coalesce_free(coalesce);
  return 0;
}

/*
 * Whoever has not the key cannot change a record: each bit of it, its length, its key. Exits 0 when every change was
 * refused, and the record itself still opened after it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

#define LONGEST 300u

static const unsigned lengths[] = {0, 1, 15, 16, 17, 40, LONGEST};
static unsigned refused;

static void fail(const char *what, unsigned length, unsigned at) {
  fprintf(stderr, "packet of %u bytes: %s (%u)\n", length, what, at);
  abort();
}

static int64_t open_copy(struct record_key *key, const uint8_t *record, size_t length) {
  struct record_header header;
  uint8_t *copy = malloc(length + (length == 0)); /* of exactly that size, so that a byte too far is noticed */
  if (copy == NULL) abort();
  memcpy(copy, record, length);
  int64_t opened = record_parse(copy, length, &header) ? record_open(key, copy, length, &header) : -1;
  free(copy);
  return opened;
}

static void refuse(struct record_key *key, const uint8_t *record, size_t length, const char *what, unsigned at) {
  if (open_copy(key, record, length) != -1) fail(what, (unsigned)length, at);
  refused++;
}

static struct record_key *new_key(enum record_cipher cipher, uint8_t first, bool seals) {
  uint8_t bytes[RECORD_KEY];
  for (unsigned i = 0; i < RECORD_KEY; i++) bytes[i] = (uint8_t)(first + i);
  struct record_key *key = record_key_new(cipher, bytes, seals);
  if (key == NULL) abort();
  return key;
}

static void seal(struct record_key *key, uint8_t *record, unsigned length, uint64_t counter) {
  struct record_header header = {.kind = RECORD_PACKET, .lane = 1, .index = 0x01020304, .counter = counter};
  for (unsigned i = 0; i < length; i++) record[RECORD_HEADER + i] = (uint8_t)(i * 7);
  if (!record_seal(key, record, record + RECORD_HEADER, length, header)) fail("is not sealed", length, 0);
}

static enum record_cipher other_than(enum record_cipher cipher) {
  return cipher == RECORD_AES_256_GCM ? RECORD_CHACHA20_POLY1305 : RECORD_AES_256_GCM;
}

static void check(enum record_cipher cipher, unsigned length) {
  uint8_t record[LONGEST + RECORD_OVERHEAD + 1] = {0};
  uint8_t next[LONGEST + RECORD_OVERHEAD];
  unsigned whole = length + RECORD_OVERHEAD;
  struct record_key *sealing = new_key(cipher, 1, true);
  struct record_key *opening = new_key(cipher, 1, false);
  struct record_key *backward = new_key(cipher, 2, false);
  struct record_key *other = new_key(other_than(cipher), 1, false);
  seal(sealing, record, length, UINT64_C(0x1122334455667788));
  for (unsigned bit = 0; bit < whole * 8; bit++) {
    record[bit / 8] ^= (uint8_t)(1u << bit % 8);
    refuse(opening, record, whole, "opens with another bit", bit);
    record[bit / 8] ^= (uint8_t)(1u << bit % 8);
    if (open_copy(opening, record, whole) != length) fail("does not open after a forgery", length, bit);
  }
  for (unsigned cut = 0; cut < whole; cut++) refuse(opening, record, cut, "opens cut off", cut);
  refuse(opening, record, whole + 1, "opens with a byte more", whole + 1);
  refuse(backward, record, whole, "opens with the key of the other direction", 0);
  refuse(other, record, whole, "opens with the other cipher", 0);
  seal(sealing, next, length, UINT64_C(0x1122334455667789));
  memcpy(next + length + RECORD_HEADER, record + length + RECORD_HEADER, RECORD_TAG);
  refuse(opening, next, whole, "opens with the tag of another", 0);
  record_key_free(sealing);
  record_key_free(opening);
  record_key_free(backward);
  record_key_free(other);
}

/* The parts of a header are where record.h says, and a record is told from other datagrams without its key. */
static void check_parsing(void) {
  static const uint8_t bytes[] = {0xc0, 2, 7, 0, 1, 2, 3, 4, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18};
  uint8_t record[RECORD_OVERHEAD] = {0};
  struct record_header header;
  memcpy(record, bytes, sizeof bytes);
  if (!record_parse(record, sizeof record, &header)) fail("is no record", 0, 0);
  if (header.kind != RECORD_REPLY || header.lane != 7 || header.index != 0x01020304) fail("other numbers", 0, 0);
  if (header.counter != UINT64_C(0x1112131415161718)) fail("another counter", 0, 0);
  if (record_parse(record, sizeof record - 1, &header)) fail("a record too short", 0, 0);
  for (unsigned bit = 0; bit < 8; bit++) {
    uint8_t flip = (uint8_t)(1u << bit);
    record[0] ^= flip;
    if (record_parse(record, sizeof record, &header)) fail("a record of another type", 0, bit);
    record[0] ^= flip;
    record[3] ^= flip;
    if (record_parse(record, sizeof record, &header)) fail("a record with a reserved bit", 0, bit);
    record[3] ^= flip;
  }
  for (unsigned flags = 0; flags < 256; flags++) {
    record[1] = RECORD_PACKET;
    record[3] = (uint8_t)flags;
    if (record_parse(record, sizeof record, &header) != (flags <= RECORD_PARTIAL)) fail("flags", 0, flags);
    if (flags <= RECORD_PARTIAL && header.flags != flags) fail("other flags", 0, flags);
  }
  record[3] = 0;
  for (unsigned kind = 0; kind < 256; kind++) {
    record[1] = (uint8_t)kind;
    if (record_parse(record, sizeof record, &header) != (kind <= RECORD_REPLY)) fail("a kind", 0, kind);
  }
}

int main(void) {
  check_parsing();
  for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    check(RECORD_AES_256_GCM, lengths[i]);
    check(RECORD_CHACHA20_POLY1305, lengths[i]);
  }
  record_key_free(NULL);
  printf("%u forgeries refused\n", refused);
  return 0;
}

/*
 * Records made by whoever does not have the key, the one of the bytes 0 to 31. The first byte of the input chooses:
 *
 *     bit 0   AES-256-GCM, or ChaCha20-Poly1305
 *     bit 1   the rest is a record: where it opens, sealing again gives the same bytes;
 *             or it is a recipe: kind, lane, index (u32), counter (u64), number of edits (u8), length to cut to (u16),
 *             the edits, each a place (u16) and a mask (u8), and the packet. What is sealed so and neither edited nor
 *             cut opens, everything else is refused.
 */
#include <stdlib.h>
#include <string.h>

#include "record.h"

#define RECIPE 17u
#define EDIT 3u

struct keys {
  struct record_key *sealing;
  struct record_key *opening;
};

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length);

static void demand(bool holds) {
  if (!holds) abort();
}

static struct keys keys_of(enum record_cipher cipher) {
  uint8_t key[RECORD_KEY];
  for (unsigned i = 0; i < RECORD_KEY; i++) key[i] = (uint8_t)i;
  struct keys keys = {record_key_new(cipher, key, true), record_key_new(cipher, key, false)};
  demand(keys.sealing != NULL && keys.opening != NULL);
  return keys;
}

/* Of exactly that size, so that a byte too far is noticed. */
static uint8_t *copy_of(const uint8_t *bytes, size_t length) {
  uint8_t *copy = malloc(length + (length == 0));
  demand(copy != NULL);
  memcpy(copy, bytes, length);
  return copy;
}

static int64_t open_in_place(struct record_key *key, uint8_t *record, size_t length, struct record_header *header) {
  return record_parse(record, length, header) ? record_open(key, record, length, header) : -1;
}

static void try_record(const struct keys *keys, const uint8_t *bytes, size_t length) {
  struct record_header header;
  uint8_t *record = copy_of(bytes, length);
  int64_t opened = open_in_place(keys->opening, record, length, &header);
  if (opened >= 0) {
    demand((size_t)opened + RECORD_OVERHEAD == length);
    demand(record_seal(keys->sealing, record, record + RECORD_HEADER, (size_t)opened, header));
    demand(memcmp(record, bytes, length) == 0);
  }
  free(record);
}

static struct record_header header_of(const uint8_t *recipe) {
  struct record_header header = {.kind = recipe[0] % (RECORD_REPLY + 1), .lane = recipe[1]};
  if (header.kind == RECORD_PACKET) header.flags = recipe[14] >> 7;
  memcpy(&header.index, recipe + 2, sizeof header.index);
  memcpy(&header.counter, recipe + 6, sizeof header.counter);
  return header;
}

static void try_recipe(const struct keys *keys, const uint8_t *recipe, size_t length) {
  if (length < RECIPE) return;
  size_t edits = recipe[14] % 8;
  size_t cut = (size_t)(recipe[15] << 8 | recipe[16]);
  const uint8_t *edit = recipe + RECIPE;
  if (length - RECIPE < edits * EDIT) return;
  size_t packet = length - RECIPE - edits * EDIT;
  size_t whole = packet + RECORD_OVERHEAD;
  uint8_t *record = malloc(whole);
  demand(record != NULL);
  memcpy(record + RECORD_HEADER, edit + edits * EDIT, packet);
  struct record_header header = header_of(recipe);
  demand(record_seal(keys->sealing, record, record + RECORD_HEADER, packet, header));

  size_t kept = cut < whole ? cut : whole;
  uint8_t *changed = copy_of(record, kept);
  for (size_t i = 0; i < edits && kept > 0; i++, edit += EDIT) {
    size_t place = (size_t)(edit[0] << 8 | edit[1]);
    changed[place % kept] ^= edit[2];
  }
  bool same = kept == whole && memcmp(changed, record, whole) == 0;
  struct record_header seen;
  int64_t opened = open_in_place(keys->opening, changed, kept, &seen);
  demand(opened == (same ? (int64_t)packet : -1));
  if (same) {
    demand(memcmp(changed + RECORD_HEADER, recipe + length - packet, packet) == 0);
    demand(seen.kind == header.kind && seen.lane == header.lane && seen.flags == header.flags);
    demand(seen.index == header.index && seen.counter == header.counter);
  }
  free(changed);
  free(record);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length) {
  static struct keys all[2];
  if (all[0].sealing == NULL) {
    all[0] = keys_of(RECORD_AES_256_GCM);
    all[1] = keys_of(RECORD_CHACHA20_POLY1305);
  }
  if (length == 0) return 0;
  const struct keys *keys = &all[input[0] & 1];
  if ((input[0] & 2) == 0) {
    try_record(keys, input + 1, length - 1);
  } else {
    try_recipe(keys, input + 1, length - 1);
  }
  return 0;
}

/*
 * Records sealed by another implementation, from standard input, each with all of its parts:
 *
 *     cipher (u8) · key (32) · length of the packet (u32, big-endian) · packet · record
 *
 * Seals every packet to the same bytes, and opens every record to the same packet. Runs as a program, or, compiled
 * with -DIN_NODE, as an addon with Node's own OpenSSL.
 */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

static void fail(const char *what, unsigned number) {
  fprintf(stderr, "record %u: %s\n", number, what);
  abort();
}

/* Of exactly that size, so that a byte too far is noticed. */
static uint8_t *take(size_t length, unsigned number) {
  uint8_t *bytes = malloc(length + (length == 0));
  if (bytes == NULL || fread(bytes, 1, length, stdin) != length) fail("is cut off", number);
  return bytes;
}

static void check(enum record_cipher cipher, unsigned number) {
  uint8_t *key = take(RECORD_KEY, number);
  uint32_t length;
  uint8_t *number_bytes = take(sizeof length, number);
  memcpy(&length, number_bytes, sizeof length);
  length = be32toh(length);
  uint8_t *packet = take(length, number);
  uint8_t *record = take(length + RECORD_OVERHEAD, number);
  uint8_t *ours = malloc(length + RECORD_OVERHEAD);
  struct record_key *sealing = record_key_new(cipher, key, true);
  struct record_key *opening = record_key_new(cipher, key, false);
  struct record_header header;
  if (ours == NULL || sealing == NULL || opening == NULL) fail("no key", number);
  if (!record_parse(record, length + RECORD_OVERHEAD, &header)) fail("is no record", number);
  for (int again = 0; again < 2; again++) { /* the second time in place, with a key that was used */
    uint8_t *text = again != 0 ? memcpy(ours + RECORD_HEADER, packet, length) : packet;
    if (!record_seal(sealing, ours, text, length, header)) fail("is not sealed", number);
    if (memcmp(ours, record, length + RECORD_OVERHEAD) != 0) fail("is sealed to other bytes", number);
    if (record_open(opening, ours, length + RECORD_OVERHEAD, &header) != length) fail("is not opened", number);
    if (memcmp(ours + RECORD_HEADER, packet, length) != 0) fail("is opened to other bytes", number);
  }
  record_key_free(sealing);
  record_key_free(opening);
  free(key);
  free(number_bytes);
  free(packet);
  free(record);
  free(ours);
}

static void check_all(void) {
  unsigned count = 0;
  for (int cipher; (cipher = getchar()) != EOF; count++) check((enum record_cipher)cipher, count);
  printf("%u records\n", count);
  fflush(stdout);
}

#ifdef IN_NODE
void *napi_register_module_v1(void *env, void *exports);
void *napi_register_module_v1(void *env, void *exports) {
  (void)env;
  check_all();
  return exports;
}
#else
int main(void) {
  check_all();
  return 0;
}
#endif

/* The checksum against RFC 1071 written down word by word. Prints how many sums agreed; aborts at one that does not. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checksum.h"

#define LONGEST 700u
#define WHOLE 65535u

static uint64_t sums;
static uint64_t state = 1;

/* SplitMix64 (Steele, Lea, Flood). */
static uint64_t random_number(void) {
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/* `before` and the result are folded, in network order as the bytes say. */
static uint32_t naive(uint32_t before, const uint8_t *bytes, size_t length) {
  uint32_t sum = before;
  for (size_t at = 0; at < length; at += 2) {
    sum += (uint32_t)bytes[at] << 8 | (at + 1 < length ? bytes[at + 1] : 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

static void expect(const char *what, size_t length, uint64_t sum, uint32_t expected) {
  uint16_t got = ntohs(checksum_fold(sum));
  if (got != expected) {
    fprintf(stderr, "%s of %zu bytes: %04x, not %04x\n", what, length, got, expected);
    abort();
  }
  sums++;
}

/* In memory that ends with the last byte, for AddressSanitizer. */
static void check(const uint8_t *source, size_t length) {
  size_t shift = random_number() % 32;
  uint8_t *memory = malloc(shift + length);
  if (memory == NULL) abort();
  uint8_t *bytes = memory + shift;
  if (length > 0) memcpy(bytes, source, length);
  uint64_t before = random_number() | (length % 3 == 0 ? UINT64_MAX << 8 : 0); /* about to overflow */
  uint32_t start = ntohs(checksum_fold(before));
  uint32_t expected = naive(start, bytes, length);
  expect("sum", length, checksum_add(before, bytes, length), expected);
  size_t first = length / 2 & ~(size_t)1;
  uint64_t begun = checksum_add(before, bytes, first);
  expect("sum in two", length, checksum_add(begun, bytes + first, length - first), expected);
  free(memory);
}

static void check_pseudo(void) {
  uint8_t ip[40], pseudo[40] = {0};
  for (size_t at = 0; at < sizeof ip; at++) ip[at] = (uint8_t)random_number();
  uint32_t length = random_number() & 0xffff;
  uint8_t protocol = (uint8_t)random_number();
  uint8_t end[] = {0, 0, (uint8_t)(length >> 8), (uint8_t)length, 0, 0, 0, protocol};

  memcpy(pseudo, ip + 12, 8);
  memcpy(pseudo + 8, end, sizeof end);
  expect("IPv4", length, checksum_pseudo_ipv4(ip, protocol, length), naive(0, pseudo, 16));
  memcpy(pseudo, ip + 8, 32);
  memcpy(pseudo + 32, end, sizeof end);
  expect("IPv6", length, checksum_pseudo_ipv6(ip, protocol, length), naive(0, pseudo, 40));
}

int main(void) {
  static uint8_t bytes[WHOLE];
  for (int fill = 0; fill < 3; fill++) {
    for (size_t at = 0; at < sizeof bytes; at++) {
      bytes[at] = fill == 0 ? 0 : fill == 1 ? 0xff : (uint8_t)random_number();
    }
    for (size_t length = 0; length <= LONGEST; length++) check(bytes, length);
    check(bytes, WHOLE);
    check(bytes, WHOLE - 1);
  }
  for (int i = 0; i < 1000; i++) check_pseudo();
  expect("the largest sum", 0, UINT64_MAX, 0xffff);
  expect("nothing", 0, 0, 0);
  printf("%llu sums\n", (unsigned long long)sums);
  return 0;
}

/*
 * One UDP port with ICE's socket and ours: what is a record arrives at the receiver that its index says, everything
 * else at ICE, before and after as well. Exits 0 when each datagram was where it belongs.
 *
 *   outer-steering <address>
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "direct-lab.h"

#define LONGEST 1400u

static const size_t lengths[] = {0, 1, 2, 7, 8, 16, 31, 32, 33, LONGEST};
static struct outer outer;
static int ice;
static int outside;
static uint16_t port;
static uint16_t outside_port;
static unsigned datagrams;

static struct endpoint endpoint_of(int fd, uint16_t port) {
  struct endpoint endpoint = {.length = sizeof endpoint.address};
  int result = getsockname(fd, (struct sockaddr *)&endpoint.address, &endpoint.length);
  expect("getsockname", (uint64_t)result, 0);
  if (endpoint.address.ss_family == AF_INET) ((struct sockaddr_in *)&endpoint.address)->sin_port = htons(port);
  else ((struct sockaddr_in6 *)&endpoint.address)->sin6_port = htons(port);
  return endpoint;
}

/* Bytes at a socket, or -1: over loopback they are there when sendto returns, or a moment later. */
static ssize_t receive(int fd, uint8_t *bytes) { return recv(fd, bytes, LONGEST, MSG_DONTWAIT); }

struct arrival {
  unsigned place; /* 0: ICE; else one more than our socket's number */
  ssize_t length;
  uint8_t bytes[LONGEST];
};

static bool has_arrived(void *context) {
  struct arrival *arrival = context;
  for (arrival->place = 0; arrival->place <= OUTER_MAX; arrival->place++) {
    int fd = arrival->place == 0 ? ice : outer.sockets[arrival->place - 1];
    if (fd >= 0 && (arrival->length = receive(fd, arrival->bytes)) >= 0) return true;
  }
  return false;
}

static void check(const uint8_t *bytes, size_t length, unsigned place) {
  static struct arrival arrival;
  struct endpoint to = endpoint_of(ice, port);
  ssize_t sent = sendto(outside, bytes, length, 0, (struct sockaddr *)&to.address, to.length);
  expect("bytes sent", (uint64_t)sent, length);
  await("a datagram", has_arrived, &arrival);
  if (arrival.place != place) fprintf(stderr, "first byte %u, %zu bytes: ", length > 0 ? bytes[0] : 0, length);
  expect("socket", arrival.place, place);
  expect("bytes", (uint64_t)arrival.length, length);
  expect("other bytes", memcmp(arrival.bytes, bytes, length) != 0, 0);
  datagrams++;
}

static void check_all(unsigned receivers) {
  uint8_t bytes[LONGEST];
  for (unsigned first = 0; first < 256; first++) {
    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
      memset(bytes, (int)(first * 7 + i), sizeof bytes);
      bytes[0] = (uint8_t)first;
      uint32_t index = bytes[4] * 0x01010101u; /* what lies there as one */
      bool ours = receivers > 0 && lengths[i] > 0 && first >= 192;
      check(bytes, lengths[i], !ours ? 0 : lengths[i] < 8 ? 1 : 1 + outer_receiver(&outer, index));
    }
  }
}

/* Each low byte of an index. */
static void check_indices(void) {
  uint8_t record[32] = {0xc0};
  for (unsigned low = 0; low < 256; low++) {
    record[4] = (uint8_t)(low * 3);
    record[7] = (uint8_t)low;
    check(record, sizeof record, 1 + low % outer.count);
  }
}

/* Text to endpoint and back. */
static void check_text(const char *address, const char *back, uint32_t overhead) {
  struct endpoint endpoint;
  struct endpoint other;
  char text[64];
  if (!outer_endpoint(&outer, address, 4321, &endpoint)) fail(address, 0, 1);
  expect(address, endpoint_text(&endpoint, text), 4321);
  if (strcmp(text, back) != 0) fail(text, 0, 1);
  expect(address, endpoint_overhead(&endpoint), overhead);
  if (!outer_endpoint(&outer, back, 4321, &other)) fail(back, 0, 1);
  expect(address, endpoint_equals(&endpoint, &other), 1);
  outer_endpoint(&outer, back, 4322, &other);
  expect(address, endpoint_equals(&endpoint, &other), 0);
}

static void check_texts(void) {
  static const char *const none[] = {"", "localhost", "1.2.3", "1.2.3.4.5", "::g", "1.2.3.4 ",
      "fe80::1%this-is-no-interface-and-its-name-is-longer-than-any-address-may-be"};
  struct endpoint endpoint;
  check_text("192.0.2.7", "192.0.2.7", 28);
  bool ipv6 = outer.family == AF_INET6;
  if (ipv6) {
    check_text("2001:DB8:0::1", "2001:db8::1", 48);
    check_text("fe80::1%lo", "fe80::1%lo", 48);
    check_text("::ffff:192.0.2.7", "192.0.2.7", 28);
  } else {
    expect("2001:db8::1", outer_endpoint(&outer, "2001:db8::1", 1, &endpoint), 0);
  }
  for (unsigned i = 0; i < sizeof none / sizeof *none; i++) {
    expect(none[i], outer_endpoint(&outer, none[i], 1, &endpoint), 0);
  }
}

static unsigned open_files(void) {
  unsigned count = 0;
  for (int fd = 0; fd < 256; fd++) count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

int main(int count, char **words) {
  static const unsigned receivers[] = {1, 2, 3, 4, 16};
  const char *step;
  if (count != 2) fail("words", (uint64_t)count, 2);
  outside = open_udp(words[1], &outside_port);
  ice = open_udp(words[1], &port);
  unsigned files = open_files();
  check_all(0);
  for (unsigned i = 0; i < sizeof receivers / sizeof *receivers; i++) {
    expect("outer_open", (uint64_t)outer_open(&outer, port, receivers[i], 0, &step), 0);
    check_all(receivers[i]);
    check_indices();
    check_texts();
    outer_close(&outer);
    outer_close(&outer);
    expect("open files", open_files(), files);
    check_all(0);
  }
  expect("a port that nobody has", (uint64_t)outer_open(&outer, 1, 1, 0, &step), ENOENT);
  expect("open files", open_files(), files);
  printf("%u datagrams\n", datagrams);
  return 0;
}

#include "direct-lab.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

_Noreturn void fail(const char *what, uint64_t got, uint64_t expected) {
  fprintf(stderr, "%s: %llu, not %llu\n", what, (unsigned long long)got, (unsigned long long)expected);
  abort();
}

void expect(const char *what, uint64_t got, uint64_t expected) {
  if (got != expected) fail(what, got, expected);
}

int open_udp(const char *address, uint16_t *port) {
  struct sockaddr_storage own = {0};
  struct sockaddr_in *ipv4 = (struct sockaddr_in *)&own;
  struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)&own;
  bool is_ipv4 = inet_pton(AF_INET, address, &ipv4->sin_addr) == 1;
  if (!is_ipv4 && inet_pton(AF_INET6, address, &ipv6->sin6_addr) != 1) fail(address, 0, 1);
  own.ss_family = is_ipv4 ? AF_INET : AF_INET6;
  socklen_t length = is_ipv4 ? sizeof *ipv4 : sizeof *ipv6;
  int fd = socket(own.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  int dual = 0;
  if (!is_ipv4) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &dual, sizeof dual);
  if (fd < 0 || bind(fd, (struct sockaddr *)&own, length) != 0) fail("bind", (uint64_t)errno, 0);
  if (getsockname(fd, (struct sockaddr *)&own, &length) != 0) fail("getsockname", (uint64_t)errno, 0);
  *port = ntohs(is_ipv4 ? ipv4->sin_port : ipv6->sin6_port);
  struct timeval patience = {.tv_sec = PATIENCE / 1000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return fd;
}

static void ring_bell(void *context) { atomic_fetch_add((atomic_uint *)context, 1); }

void node_open(struct node *node, const char *address, unsigned workers) {
  const char *step;
  node->address = address;
  node->ice = open_udp(address, &node->port);
  atomic_init(&node->bells, 0);
  node->poller = poller_start(ring_bell, &node->bells);
  if (node->poller == NULL) fail("poller_start", (uint64_t)errno, 0);
  node->direct = direct_open(ring_bell, &node->bells);
  if (node->direct == NULL) fail("direct_open", (uint64_t)errno, 0);
  node->direct->port = node->port;
  int error = direct_listen(node->direct, workers, 0, node->dscp, &step);
  if (error != 0) fail(step, (uint64_t)error, 0);
}

void node_close(struct node *node) {
  direct_close(node->direct);
  poller_stop(node->poller);
  close(node->ice);
}

void node_settle(struct node *node) {
  pthread_rwlock_wrlock(&node->direct->lock);
  pthread_rwlock_unlock(&node->direct->lock);
}

struct endpoint node_endpoint(const struct node *node, uint16_t port) {
  struct endpoint endpoint;
  if (!outer_endpoint(&node->direct->outer, node->address, port, &endpoint)) fail(node->address, 0, port);
  return endpoint;
}

void end_open(struct end *end, struct node *node, bool pi, uint16_t port) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) fail("socketpair", (uint64_t)errno, 0);
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  struct timeval patience = {.tv_sec = PATIENCE / 1000};
  setsockopt(ends[1], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  *end = (struct end){.node = node, .device = poller_add(node->poller, ends[0], pi), .pi = pi, .far = ends[1]};
  if (end->device == NULL) fail("poller_add", (uint64_t)errno, 0);
  device_raise_limit(end->device, POLLER_PI + SEGMENT_MAX);
  device_resume(end->device);
  end->link = link_new(node->direct, end->device, 0, pi, true);
  if (end->link == NULL) fail("link_new", (uint64_t)errno, 0);
  struct endpoint endpoint = node_endpoint(node, port);
  link_set_endpoint(end->link, &endpoint);
  link_set_limit(end->link, POLLER_PI + SEGMENT_MAX);
  link_carry(end->link, true);
}

void end_close(struct end *end) {
  link_free(end->link);
  close(poller_remove(end->node->poller, end->device));
  close(end->far);
}

void end_rest(struct end *end) { link_use(end->link, NULL); }

uint64_t end_count(const struct end *end, enum link_counter which) { return atomic_load(&end->link->counters[which]); }

uint16_t end_port(const struct end *end) {
  char text[64];
  struct ends ends = link_ends(end->link);
  return endpoint_text(&ends.far, text);
}

static void fill_key(uint8_t key[RECORD_KEY], uint8_t generation, bool first) {
  memset(key, first ? generation : ~generation, RECORD_KEY);
}

static enum record_cipher cipher_of(uint8_t generation) {
  return generation % 2 == 0 ? RECORD_AES_256_GCM : RECORD_CHACHA20_POLY1305;
}

struct record_key *opening_key(uint8_t generation, bool first) {
  uint8_t key[RECORD_KEY];
  fill_key(key, generation, first);
  return record_key_new(cipher_of(generation), key, false);
}

struct keypair *add_keypair(struct end *end, uint32_t index, uint32_t peer_index, uint8_t generation, bool first) {
  uint8_t keys[2][RECORD_KEY];
  for (unsigned i = 0; i < 2; i++) fill_key(keys[i], generation, i == 0);
  struct keypair *keypair = keypair_add(end->link, index, peer_index, cipher_of(generation), keys[first ? 0 : 1],
                                        keys[first ? 1 : 0], true);
  if (keypair == NULL) fail("keypair_add", (uint64_t)errno, 0);
  return keypair;
}

static uint64_t milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

void await(const char *what, bool (*holds)(void *context), void *context) {
  uint64_t end = milliseconds() + PATIENCE;
  while (!holds(context)) {
    if (milliseconds() > end) fail(what, 0, 1);
    poll(NULL, 0, 1);
  }
}

size_t read_far(const struct end *end, uint8_t *bytes, size_t room) {
  ssize_t length = recv(end->far, bytes, room, MSG_DONTWAIT);
  if (length < 0 && errno != EAGAIN) fail("recv", (uint64_t)errno, 0);
  return length < 0 ? 0 : (size_t)length;
}

size_t await_far(const struct end *end, uint8_t *bytes, size_t room) {
  struct pollfd wanted = {.fd = end->far, .events = POLLIN};
  if (poll(&wanted, 1, PATIENCE) != 1) fail("packets from the device", 0, 1);
  return read_far(end, bytes, room);
}

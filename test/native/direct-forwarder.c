#include "direct-forwarder.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUTERS 256
#define LONGEST 65536
/* Outer sockets to which anything may still come: it is rebound when the last change was noticed. */
#define LIVE 3

struct forwarder {
  const char *address;
  struct endpoint a;
  struct endpoint b;
  int inner;
  uint16_t inner_port;
  int wake; /* eventfd: stop, or another outer socket */
  atomic_bool stopping;
  atomic_int count; /* of outers; the last is the newest */
  int outers[OUTERS];
  uint16_t ports[OUTERS];
  pthread_t thread;
};

static void forward(int through, const struct endpoint *to, const uint8_t *bytes, ssize_t length) {
  ssize_t sent = sendto(through, bytes, (size_t)length, 0, (const struct sockaddr *)&to->address, to->length);
  if (sent != length) fail("forwarded bytes", (uint64_t)sent, (uint64_t)length);
}

/* One datagram from an outer socket, after whatever came to older ones before it. */
static bool take_outer(struct forwarder *forwarder, int at, int first) {
  uint8_t bytes[LONGEST];
  if (at < first) return false;
  ssize_t length = recv(forwarder->outers[at], bytes, sizeof bytes, MSG_DONTWAIT);
  while (take_outer(forwarder, at - 1, first)) continue;
  if (length >= 0) forward(forwarder->inner, &forwarder->a, bytes, length);
  return length >= 0;
}

static void *run(void *argument) {
  struct forwarder *forwarder = argument;
  uint8_t bytes[LONGEST];
  while (!atomic_load(&forwarder->stopping)) {
    int count = atomic_load(&forwarder->count);
    int first = count > LIVE ? count - LIVE : 0;
    struct pollfd wanted[2 + LIVE] = {{forwarder->wake, POLLIN, 0}, {forwarder->inner, POLLIN, 0}};
    for (int i = first; i < count; i++) wanted[2 + i - first] = (struct pollfd){forwarder->outers[i], POLLIN, 0};
    if (poll(wanted, (nfds_t)(2 + count - first), -1) < 0) fail("poll", (uint64_t)errno, 0);
    uint64_t wakes;
    if (wanted[0].revents != 0 && read(forwarder->wake, &wakes, sizeof wakes) < 0) fail("eventfd", (uint64_t)errno, 0);
    ssize_t length = recv(forwarder->inner, bytes, sizeof bytes, MSG_DONTWAIT);
    if (length >= 0) forward(forwarder->outers[count - 1], &forwarder->b, bytes, length);
    take_outer(forwarder, count - 1, first);
  }
  return NULL;
}

static void wake(struct forwarder *forwarder) {
  uint64_t one = 1;
  if (write(forwarder->wake, &one, sizeof one) < 0) fail("eventfd", (uint64_t)errno, 0);
}

struct forwarder *forwarder_start(const struct node *a, const struct node *b) {
  struct forwarder *forwarder = calloc(1, sizeof *forwarder);
  if (forwarder == NULL) abort();
  forwarder->address = a->address;
  forwarder->a = node_endpoint(a, a->port);
  forwarder->b = node_endpoint(b, b->port);
  forwarder->inner = open_udp(a->address, &forwarder->inner_port);
  forwarder->wake = eventfd(0, EFD_CLOEXEC);
  forwarder_rebind(forwarder);
  expect("pthread_create", (uint64_t)pthread_create(&forwarder->thread, NULL, run, forwarder), 0);
  return forwarder;
}

void forwarder_stop(struct forwarder *forwarder) {
  atomic_store(&forwarder->stopping, true);
  wake(forwarder);
  pthread_join(forwarder->thread, NULL);
  for (int i = 0; i < atomic_load(&forwarder->count); i++) close(forwarder->outers[i]);
  close(forwarder->inner);
  close(forwarder->wake);
  free(forwarder);
}

uint16_t forwarder_inner(const struct forwarder *forwarder) { return forwarder->inner_port; }

uint16_t forwarder_outer(struct forwarder *forwarder) { return forwarder->ports[atomic_load(&forwarder->count) - 1]; }

void forwarder_rebind(struct forwarder *forwarder) {
  int count = atomic_load(&forwarder->count);
  if (count == OUTERS) return;
  forwarder->outers[count] = open_udp(forwarder->address, &forwarder->ports[count]);
  atomic_store(&forwarder->count, count + 1);
  wake(forwarder);
}

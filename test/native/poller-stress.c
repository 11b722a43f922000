/*
 * The reader thread without Node and without devices: pairs of sockets that keep packet borders stand for them, so
 * that no packet may be lost, and ThreadSanitizer sees every thread. Exits 0 when each device delivered its packets
 * whole and in order, through slow, paused and closed neighbours.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "poller.h"

#define DEVICES 6
#define ROUNDS 3
#define PACKETS 2000u
#define SHORT 1500u
#define LONGEST 65535u
#define HEADER sizeof(struct virtio_net_hdr)
#define PATIENCE_S 10

struct pair {
  struct device *device;
  int far;
  unsigned longest;
  unsigned next; /* number of the packet expected */
  unsigned random;
  pthread_t sender;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t rang = PTHREAD_COND_INITIALIZER;
static int bells;

static void fail(const char *what, unsigned got, unsigned expected) {
  fprintf(stderr, "%s: %u, not %u\n", what, got, expected);
  abort();
}

static void ring_bell(void *context) {
  (void)context;
  pthread_mutex_lock(&lock);
  bells++;
  pthread_cond_signal(&rang);
  pthread_mutex_unlock(&lock);
}

/* A lost wake-up shows here. */
static void wait_for_bell(void) {
  struct timespec end;
  clock_gettime(CLOCK_REALTIME, &end);
  end.tv_sec += PATIENCE_S;
  pthread_mutex_lock(&lock);
  while (bells == 0) {
    if (pthread_cond_timedwait(&rang, &lock, &end) == ETIMEDOUT) fail("bells", 0, 1);
  }
  bells = 0;
  pthread_mutex_unlock(&lock);
}

static unsigned length_of(const struct pair *pair, unsigned number) { return 4 + number * 7919u % (pair->longest - 3); }

/* Every hundredth packet is longer than the limit: the thread drops it. */
static void *send_packets(void *argument) {
  struct pair *pair = argument;
  static const unsigned char too_long[HEADER + LONGEST + 1];
  unsigned char packet[HEADER + LONGEST] = {0};
  unsigned char *bytes = packet + HEADER;
  for (unsigned number = 0; number < PACKETS; number++) {
    memset(bytes, (int)(number & 0xff), LONGEST);
    memcpy(bytes, &number, sizeof number);
    if (number % 100 == 0 && send(pair->far, too_long, HEADER + pair->longest + 1, MSG_NOSIGNAL) < 0) return NULL;
    if (send(pair->far, packet, HEADER + length_of(pair, number), MSG_NOSIGNAL) < 0) return NULL;
  }
  return NULL;
}

static void check(struct pair *pair, const unsigned char *records, unsigned bytes) {
  static unsigned char expected[LONGEST];
  for (unsigned at = 0; at < bytes;) {
    unsigned length;
    unsigned number;
    memcpy(&length, records + at, sizeof length);
    memcpy(&number, records + at + 4, sizeof number);
    if (number != pair->next) fail("packet", number, pair->next);
    if (length != length_of(pair, number)) fail("length", length, length_of(pair, number));
    memset(expected, (int)(number & 0xff), length);
    if (memcmp(records + at + 8, expected, length - 4) != 0) fail("bytes of packet", number, number);
    pair->next++;
    at += 4 + ((length + 3) & ~3u);
  }
}

/* One batch of a device, which is then paused now and then. */
static void take(struct pair *pair) {
  const unsigned char *records;
  pair->random = pair->random * 1103515245u + 12345u;
  unsigned chance = pair->random >> 16;
  if (chance % 16 == 0) device_pause(pair->device);
  if (chance % 16 == 1 && device_resume(pair->device) != 0) fail("device_resume", 1, 0);
  if (chance % 4 == 2) return; /* slow: the ring fills meanwhile */
  unsigned bytes = device_peek(pair->device, 1 + chance % 200, &records);
  if (bytes == 0) return;
  check(pair, records, bytes);
  device_release(pair->device, bytes);
}

/* An outlet that puts everything into the ring as it is. */
static bool send_nothing(struct outlet *outlet, const uint8_t *pi, struct segment_cut *cut) {
  (void)outlet, (void)pi, (void)cut;
  return false;
}

static bool waits(struct outlet *outlet) {
  (void)outlet;
  return true;
}

static uint32_t copy(struct outlet *outlet, uint8_t *slot, const uint8_t *pi, struct segment_cut *cut) {
  (void)outlet, (void)pi;
  uint8_t *piece;
  uint32_t length = segment_next(cut, &piece);
  memcpy(slot, piece, length);
  return length;
}

static void drop(struct outlet *outlet, unsigned packets) { (void)outlet, (void)packets; }

static void flush(struct outlet *outlet) { (void)outlet; }

static struct outlet outlet = {.send = send_nothing, .waits = waits, .seal = copy, .dropped = drop, .flush = flush};

static void open_pair(struct poller *poller, struct pair *pair, unsigned longest, unsigned seed) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) fail("socketpair", 1, 0);
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  struct timeval patience = {.tv_sec = PATIENCE_S};
  setsockopt(ends[1], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  pair->device = poller_add(poller, ends[0], false);
  if (pair->device == NULL) fail("poller_add", 1, 0);
  pair->far = ends[1];
  pair->longest = longest;
  pair->next = 0;
  pair->random = seed;
  device_raise_limit(pair->device, longest);
  device_set_outlet(pair->device, &outlet);
  device_resume(pair->device);
  if (pthread_create(&pair->sender, NULL, send_packets, pair) != 0) fail("pthread_create", 1, 0);
}

static void close_pair(struct poller *poller, struct pair *pair) {
  close(poller_remove(poller, pair->device));
  pthread_join(pair->sender, NULL);
  close(pair->far);
}

static int unfinished(const struct pair *pairs) {
  for (int i = 1; i < DEVICES; i++) {
    if (pairs[i].next < PACKETS) return 1;
  }
  return 0;
}

int main(void) {
  for (unsigned round = 0; round < ROUNDS; round++) {
    struct poller *poller = poller_start(ring_bell, NULL);
    struct pair pairs[DEVICES];
    if (poller == NULL) fail("poller_start", 1, 0);
    for (unsigned i = 0; i < DEVICES; i++) open_pair(poller, &pairs[i], i == 1 ? LONGEST : SHORT, round * DEVICES + i);
    for (unsigned turn = 0;; turn++) {
      for (unsigned i = 0; i < DEVICES; i++) take(&pairs[i]);
      if (!unfinished(pairs)) break;
      if (turn % 500 == 499) { /* the first device comes and goes in mid-traffic */
        close_pair(poller, &pairs[0]);
        open_pair(poller, &pairs[0], SHORT, turn);
      }
      if (!poller_rest(poller)) continue;
      for (unsigned i = 0; i < DEVICES; i++) device_resume(pairs[i].device);
      if (poller_rest(poller)) wait_for_bell();
    }
    for (unsigned i = 0; i < DEVICES; i++) close_pair(poller, &pairs[i]);
    poller_stop(poller);
  }
  printf("%u packets of each of %u devices\n", PACKETS * ROUNDS, DEVICES - 1);
  return 0;
}

/*
 * A wire between two interfaces that delays some frames, so that others overtake them, and doubles some.
 *
 *   hop LEFT RIGHT HELD MICROSECONDS DOUBLED      HELD and DOUBLED of a thousand frames, at random
 *
 * Frames carry the kernel's own header (PACKET_VNET_HDR), since checksums are left to whoever receives them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME 66000
#define HELD_MOST 2048

struct held {
  uint64_t until; /* nanoseconds */
  int to;
  size_t length;
  uint8_t *bytes;
};

static struct held queue[HELD_MOST];
static unsigned first;
static unsigned count;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static int open_end(const char *name) {
  int on = 1;
  int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL));
  struct sockaddr_ll address = {
      .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(name)};
  if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) != 0 ||
      setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) != 0 ||
      bind(fd, (struct sockaddr *)&address, sizeof address) != 0) {
    die(name);
  }
  return fd;
}

static void pass(int to, const uint8_t *bytes, size_t length) {
  struct pollfd writable = {.fd = to, .events = POLLOUT};
  while (write(to, bytes, length) < 0) {
    if (errno != EAGAIN && errno != ENOBUFS) return;
    poll(&writable, 1, 1);
  }
}

static bool hold(int to, const uint8_t *bytes, size_t length, uint64_t until) {
  if (count == HELD_MOST) return false;
  struct held *held = &queue[(first + count) % HELD_MOST];
  *held = (struct held){.until = until, .to = to, .length = length, .bytes = malloc(length)};
  if (held->bytes == NULL) return false;
  memcpy(held->bytes, bytes, length);
  count++;
  return true;
}

/* Nanoseconds to the next one, or -1. */
static int64_t release(void) {
  for (; count > 0; count--, first = (first + 1) % HELD_MOST) {
    struct held *held = &queue[first];
    int64_t left = (int64_t)(held->until - now());
    if (left > 0) return left;
    pass(held->to, held->bytes, held->length);
    free(held->bytes);
  }
  return -1;
}

int main(int argc, char **argv) {
  static uint8_t frame[FRAME];
  if (argc != 6) return 2;
  struct pollfd ends[] = {{.fd = open_end(argv[1]), .events = POLLIN}, {.fd = open_end(argv[2]), .events = POLLIN}};
  int held = atoi(argv[3]);
  uint64_t pause = strtoull(argv[4], NULL, 10) * 1000u;
  int doubled = atoi(argv[5]);
  puts("ready");
  fflush(stdout);
  for (;;) {
    int64_t left = release();
    struct timespec timeout = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
    if (ppoll(ends, 2, left < 0 ? NULL : &timeout, NULL) < 0 && errno != EINTR) die("ppoll");
    for (int i = 0; i < 2; i++) {
      int to = ends[1 - i].fd;
      for (int burst = 0; burst < 64; burst++) {
        ssize_t length = read(ends[i].fd, frame, sizeof frame);
        if (length <= 0) break;
        if (random() % 1000 < doubled) pass(to, frame, (size_t)length);
        if (random() % 1000 < held && hold(to, frame, (size_t)length, now() + pause)) continue;
        pass(to, frame, (size_t)length);
      }
    }
  }
}

/*
 * UDP that the kernel cuts.
 *
 *   gso receive PORT COUNT             says "ready", then how many of the numbered datagrams came whole and in order
 *   gso send ADDRESS PORT SIZE COUNT   COUNT datagrams of SIZE bytes, 40 with each call (UDP_SEGMENT)
 *
 * A datagram is its number, u32 of this machine, and bytes that follow from number and place.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TOGETHER 40u
#define SIZE_MOST 1500u
/* Milliseconds without a datagram that end the receiver, once there was one. */
#define SILENCE 1500

static void die(const char *what) {
  perror(what);
  exit(1);
}

static uint8_t byte_of(uint32_t number, size_t place) { return (uint8_t)(number * 31u + place * 7u); }

static void fill(uint8_t *datagram, uint32_t number, size_t size) {
  memcpy(datagram, &number, sizeof number);
  for (size_t place = sizeof number; place < size; place++) datagram[place] = byte_of(number, place);
}

static bool is_whole(const uint8_t *datagram, uint32_t number, size_t size) {
  for (size_t place = sizeof number; place < size; place++) {
    if (datagram[place] != byte_of(number, place)) return false;
  }
  return true;
}

static int open_socket(void) {
  int room = 8 << 20;
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) != 0) die("socket");
  return fd;
}

static int receive(uint16_t port, uint32_t count) {
  uint8_t datagram[65536];
  uint32_t whole = 0;
  uint32_t next = 0;
  bool ordered = true;
  int fd = open_socket();
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(port)};
  if (bind(fd, (struct sockaddr *)&here, sizeof here) != 0) die("bind");
  puts("ready");
  fflush(stdout);
  struct pollfd wanted = {.fd = fd, .events = POLLIN};
  while (whole < count && poll(&wanted, 1, whole == 0 ? 10000 : SILENCE) > 0) {
    uint32_t number;
    ssize_t length = recv(fd, datagram, sizeof datagram, 0);
    if (length < (ssize_t)sizeof number) continue;
    memcpy(&number, datagram, sizeof number);
    if (!is_whole(datagram, number, (size_t)length)) continue;
    ordered = ordered && number >= next;
    next = number + 1;
    whole++;
  }
  printf("%u whole, %s\n", whole, ordered ? "in order" : "out of order");
  return 0;
}

static int send_all(const char *address, uint16_t port, uint16_t size, uint32_t count) {
  static uint8_t datagrams[TOGETHER * SIZE_MOST];
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  int segment = size;
  int fd = open_socket();
  if (size < sizeof(uint32_t) || size > SIZE_MOST || inet_pton(AF_INET, address, &to.sin_addr) != 1) return 2;
  if (setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) != 0) die("UDP_SEGMENT");
  if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) die("connect");
  for (uint32_t number = 0; number < count;) {
    size_t used = 0;
    for (unsigned i = 0; i < TOGETHER && number < count; i++, number++, used += size) {
      fill(datagrams + used, number, size);
    }
    if (send(fd, datagrams, used, 0) != (ssize_t)used) die("send");
    usleep(1000);
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 4 && strcmp(argv[1], "receive") == 0) {
    return receive((uint16_t)atoi(argv[2]), (uint32_t)atoi(argv[3]));
  }
  if (argc != 6 || strcmp(argv[1], "send") != 0) return 2;
  return send_all(argv[2], (uint16_t)atoi(argv[3]), (uint16_t)atoi(argv[4]), (uint32_t)atoi(argv[5]));
}

/*
 * coalesce.h with a TUN device behind it: `coalesce-tun NAME` makes the device.
 *
 *   in:  bytes that follow, then for each packet its length and bytes; numbers are u32 in host order
 *   out: lines. "ready"; "packet HEX" for what the kernel sends; "wrote N" after N writes of what came in
 */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "coalesce.h"

#define LONGEST 65536

static int tun;
static unsigned writes;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static bool write_parts(void *context, const struct iovec *parts, int count, unsigned packets) {
  (void)context;
  (void)packets;
  size_t length = 0;
  for (int i = 0; i < count; i++) length += parts[i].iov_len;
  if (writev(tun, parts, count) != (ssize_t)length) fail("writev");
  writes++;
  return true;
}

static void read_exactly(void *bytes, size_t length) {
  for (size_t at = 0; at < length;) {
    ssize_t got = read(STDIN_FILENO, (uint8_t *)bytes + at, length - at);
    if (got <= 0) exit(at == 0 && length == sizeof(uint32_t) ? 0 : 1);
    at += (size_t)got;
  }
}

static void take_packets(struct coalesce *coalesce) {
  uint32_t length;
  uint32_t size;
  read_exactly(&length, sizeof length);
  uint8_t *input = malloc(length);
  if (input == NULL) fail("malloc");
  read_exactly(input, length);
  writes = 0;
  for (uint32_t at = 0; at < length; at += sizeof size + size) {
    memcpy(&size, input + at, sizeof size);
    struct coalesce_options options = {.tcp = true, .udp = true};
    if (!coalesce_add(coalesce, input + at + sizeof size, size, options)) exit(1);
  }
  coalesce_flush(coalesce, write_parts, NULL);
  free(input);
  printf("wrote %u\n", writes);
}

static void tell_packet(void) {
  static uint8_t packet[LONGEST];
  ssize_t length = read(tun, packet, sizeof packet);
  if (length < 0) fail("read");
  printf("packet ");
  for (ssize_t i = (ssize_t)sizeof(struct virtio_net_hdr); i < length; i++) printf("%02x", packet[i]);
  printf("\n");
}

int main(int count, char **values) {
  if (count != 2) return 2;
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
  strncpy(request.ifr_name, values[1], IFNAMSIZ - 1);
  tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (tun < 0) fail("/dev/net/tun");
  if (ioctl(tun, TUNSETIFF, &request) != 0) fail("TUNSETIFF");
  struct coalesce *coalesce = coalesce_new();
  printf("ready\n");
  for (;;) {
    fflush(stdout);
    struct pollfd watched[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = tun, .events = POLLIN}};
    if (poll(watched, 2, -1) < 0) fail("poll");
    if (watched[1].revents != 0) tell_packet();
    if (watched[0].revents != 0) take_packets(coalesce);
  }
}

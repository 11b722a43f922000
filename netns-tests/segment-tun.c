/*
 * The kernel as the one that cuts: what is written into a TUN device with offloads is forwarded to one without.
 *
 *   segment-tun IN OUT     attaches to devices that exist; input and output as of test/native/segment-cut.c
 *
 * A marker follows each packet, so that nobody waits for pieces that do not come.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#define REFUSED 0xffffffffu
#define LONGEST 65536
#define MARKER 28 /* IPv4 header, then the marker's number */
#define ATTEMPTS 100
#define PATIENCE_MS 50

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int attach(const char *name, short flags) {
  struct ifreq request = {.ifr_flags = (short)(IFF_TUN | IFF_NO_PI | flags)};
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) fail("/dev/net/tun");
  if (ioctl(fd, TUNSETIFF, &request) != 0) fail(name);
  return fd;
}

static void write_number(uint32_t number) { fwrite(&number, sizeof number, 1, stdout); }

static bool write_packet(int fd, struct virtio_net_hdr *header, uint8_t *packet, size_t length) {
  struct iovec parts[] = {{.iov_base = header, .iov_len = sizeof *header}, {.iov_base = packet, .iov_len = length}};
  return writev(fd, parts, 2) == (ssize_t)(sizeof *header + length);
}

/* From 198.18.0.1 to 198.19.0.1, of an experimental protocol (RFC 3692: 253). */
static void write_marker(int fd, uint64_t number) {
  uint8_t packet[MARKER] = {0x45, 0, 0, MARKER, 0, 0, 0, 0, 64, 253, 0, 0, 198, 18, 0, 1, 198, 19, 0, 1};
  uint32_t sum = 0;
  for (int i = 0; i < 20; i += 2) sum += (uint32_t)(packet[i] << 8 | packet[i + 1]);
  sum = ~((sum & 0xffff) + (sum >> 16));
  packet[10] = (uint8_t)(sum >> 8);
  packet[11] = (uint8_t)sum;
  memcpy(packet + 20, &number, sizeof number);
  struct virtio_net_hdr header = {0};
  if (!write_packet(fd, &header, packet, sizeof packet)) fail("marker");
}

static bool is_marker(const uint8_t *packet, ssize_t length, uint64_t number) {
  return length == MARKER && packet[9] == 253 && memcmp(packet + 20, &number, sizeof number) == 0;
}

/* Reports of multicast listeners: the kernel's own. */
static bool is_multicast(const uint8_t *packet) { return packet[0] >> 4 == 6 && packet[24] == 0xff; }

/* What arrived before the marker; false where none arrives in time. */
static bool read_until_marker(int fd, uint64_t number, bool silent) {
  static uint8_t packet[LONGEST];
  for (;;) {
    ssize_t length = read(fd, packet, sizeof packet);
    if (length < 0) {
      struct pollfd watched = {.fd = fd, .events = POLLIN};
      if (errno != EAGAIN) fail("read");
      if (poll(&watched, 1, PATIENCE_MS) == 0) return false;
      continue;
    }
    if (is_marker(packet, length, number)) return true;
    if (silent || is_multicast(packet)) continue;
    write_number((uint32_t)length);
    fwrite(packet, 1, (size_t)length, stdout);
  }
}

int main(int count, char **values) {
  if (count != 3) return 2;
  int in = attach(values[1], IFF_VNET_HDR);
  int out = attach(values[2], 0);
  if (ioctl(in, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN) != 0) fail("TUNSETOFFLOAD");
  if (ioctl(out, TUNSETOFFLOAD, 0) != 0) fail("TUNSETOFFLOAD");

  /* The kernel sends once it has seen the carrier. */
  uint64_t number = 1;
  for (;; number++) {
    write_marker(in, number);
    if (read_until_marker(out, number, true)) break;
    if (number == ATTEMPTS) {
      fprintf(stderr, "nothing is forwarded\n");
      return 1;
    }
  }

  static uint8_t packet[LONGEST];
  struct virtio_net_hdr header;
  uint32_t length;
  while (fread(&header, sizeof header, 1, stdin) == 1 && fread(&length, sizeof length, 1, stdin) == 1) {
    if (length > sizeof packet || fread(packet, 1, length, stdin) != length) return 2;
    bool written = write_packet(in, &header, packet, length);
    write_marker(in, ++number);
    bool complete = read_until_marker(out, number, false);
    if (!complete) {
      fprintf(stderr, "the marker after a packet of %u bytes did not arrive\n", length);
      return 1;
    }
    write_number(written ? 0 : REFUSED);
  }
  return fflush(stdout) == 0 ? 0 : 1;
}

// Sends or prints raw frames of one ethertype on an interface, for protocols that the kernel need not know.
//
//   frame send IFACE ETHERTYPE HEX       one frame without link-layer header
//   frame receive IFACE ETHERTYPE        prints "ready", then the hex of each frame of that type that comes in
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int fail(const char *what) {
  perror(what);
  return 1;
}

int main(int count, char **values) {
  if (count < 4) return 2;
  int sending = strcmp(values[1], "send") == 0;
  struct sockaddr_ll where = {
      .sll_family = AF_PACKET,
      .sll_protocol = htons((unsigned short)strtoul(values[3], NULL, 0)),
      .sll_ifindex = (int)if_nametoindex(values[2]),
  };
  if (where.sll_ifindex == 0) return fail(values[2]);
  int handle = socket(AF_PACKET, SOCK_DGRAM, sending ? 0 : where.sll_protocol);
  if (handle < 0) return fail("socket");
  unsigned char frame[65536];
  if (sending) {
    if (count < 5) return 2;
    size_t length = strlen(values[4]) / 2;
    for (size_t at = 0; at < length && at < sizeof frame; at++) {
      unsigned byte = 0;
      if (sscanf(values[4] + 2 * at, "%2x", &byte) != 1) return 2;
      frame[at] = (unsigned char)byte;
    }
    ssize_t sent = sendto(handle, frame, length, 0, (struct sockaddr *)&where, sizeof where);
    return sent == (ssize_t)length ? 0 : fail("sendto");
  }
  if (bind(handle, (struct sockaddr *)&where, sizeof where) < 0) return fail("bind");
  setvbuf(stdout, NULL, _IOLBF, 0);
  puts("ready");
  for (;;) {
    ssize_t length = recv(handle, frame, sizeof frame, 0);
    if (length < 0) return fail("recv");
    for (ssize_t at = 0; at < length; at++) printf("%02x", frame[at]);
    putchar('\n');
  }
}

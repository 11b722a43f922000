/*
 * The kernel's side of a TUN device, for tests: AF_PACKET in cooked mode (packet(7)).
 *
 *   standard input, a line per command:  IFINDEX ETHERTYPE COUNT HEX   send HEX out of the interface, COUNT times
 *   standard output, a line per packet:  IFINDEX ETHERTYPE HEX         received by the kernel on any interface
 *
 * Numbers are hexadecimal. The first line of the output is "ready"; after each command comes "sent N", the packets
 * that the interface took.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PACKET_BYTES 65536

/** Of the socket, in bytes: what a test sends at once fits in, however late the reader of our output is. */
#define ROOM (64 << 20)

static unsigned char packet[PACKET_BYTES];

static void send_line(int fd, const char *line) {
  unsigned ifindex, ethertype, count, sent = 0;
  int at;
  size_t length = 0;
  if (sscanf(line, "%x %x %x %n", &ifindex, &ethertype, &count, &at) != 3) exit(2);
  for (const char *hex = line + at; length < sizeof packet && sscanf(hex, "%2hhx", &packet[length]) == 1; hex += 2) {
    length++;
  }
  struct sockaddr_ll to = {
      .sll_family = AF_PACKET, .sll_protocol = htons((unsigned short)ethertype), .sll_ifindex = (int)ifindex};
  for (unsigned i = 0; i < count; i++) {
    if (sendto(fd, packet, length, 0, (struct sockaddr *)&to, sizeof to) >= 0) sent++;
  }
  printf("sent %x\n", sent);
}

static void print_packet(int fd) {
  struct sockaddr_ll from;
  socklen_t size = sizeof from;
  ssize_t length = recvfrom(fd, packet, sizeof packet, 0, (struct sockaddr *)&from, &size);
  if (length < 0 || from.sll_pkttype == PACKET_OUTGOING) return;
  printf("%x %x ", (unsigned)from.sll_ifindex, ntohs(from.sll_protocol));
  for (ssize_t i = 0; i < length; i++) printf("%02x", packet[i]);
  printf("\n");
}

int main(void) {
  static char line[3 * PACKET_BYTES];
  int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ALL));
  if (fd < 0) {
    perror("AF_PACKET");
    return 1;
  }
  int room = ROOM;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) != 0) {
    perror("SO_RCVBUFFORCE");
    return 1;
  }
  setvbuf(stdin, NULL, _IONBF, 0);
  setvbuf(stdout, NULL, _IOLBF, 0);
  printf("ready\n");
  struct pollfd watched[] = {{.fd = 0, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
  for (;;) {
    if (poll(watched, 2, -1) < 0) return 1;
    if (watched[1].revents != 0) print_packet(fd);
    if (watched[0].revents != 0) {
      if (fgets(line, sizeof line, stdin) == NULL) return 0;
      send_line(fd, line);
    }
  }
}

/*
 * Congestion marks through the engine: what packets show outside, that no call sends records of two kinds, and what routers
 * may do to a packet by marking its record. Exits 0 when every octet was as expected.
 *
 *   direct-ecn <address>
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ancillary.h"
#include "checksum.h"
#include "direct-flow.h"
#include "direct-lab.h"
#include "ecn.h"

#define PAYLOAD 50u
#define TOGETHER 5u
#define INDEX 0x100u
/* Packets in a queue of the kernel's at once. */
#define WINDOW 16u
#define EF 46u
#define IP_OCTET 1
#define IP_HEADER 20u

/* A router that writes this into what leaves. */
static atomic_int marked = -1;

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  int octet = atomic_load(&marked);
  if (octet < 0) return syscall(SYS_sendmsg, fd, message, flags);
  union {
    struct cmsghdr header;
    char space[128];
  } control = {0};
  struct msghdr changed = *message;
  changed.msg_control = control.space;
  changed.msg_controllen = 0;
  for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL;
       part = CMSG_NXTHDR((struct msghdr *)message, part)) {
    if (part->cmsg_type == (part->cmsg_level == IPPROTO_IP ? IP_TOS : IPV6_TCLASS)) continue;
    memcpy(control.space + changed.msg_controllen, part, part->cmsg_len);
    changed.msg_controllen += CMSG_ALIGN(part->cmsg_len);
  }
  bool ipv4 = endpoint_is_ipv4(&(struct endpoint){.address = *(struct sockaddr_storage *)message->msg_name});
  struct cmsghdr *last = (struct cmsghdr *)(control.space + changed.msg_controllen);
  *last = (struct cmsghdr){.cmsg_level = ipv4 ? IPPROTO_IP : IPPROTO_IPV6, .cmsg_type = ipv4 ? IP_TOS : IPV6_TCLASS,
                           .cmsg_len = CMSG_LEN(sizeof octet)};
  memcpy(CMSG_DATA(last), &octet, sizeof octet);
  changed.msg_controllen += CMSG_SPACE(sizeof octet);
  return syscall(SYS_sendmsg, fd, &changed, flags);
}

static struct node nodes[2];
static struct end ends[2];
static struct keypair *keypair;
static struct flow flow = {.port = 1};

static void open_all(const char *address, unsigned dscp, bool pi) {
  for (unsigned i = 0; i < 2; i++) {
    nodes[i].dscp = dscp;
    node_open(&nodes[i], address, 1);
  }
  for (unsigned i = 0; i < 2; i++) {
    end_open(&ends[i], &nodes[i], pi, nodes[1 - i].port);
    struct keypair *made = add_keypair(&ends[i], INDEX, INDEX, 0, i == 0);
    if (i == 0) keypair = made;
  }
  link_use(ends[0].link, keypair);
}

static void close_all(void) {
  for (unsigned i = 0; i < 2; i++) end_close(&ends[i]);
  for (unsigned i = 0; i < 2; i++) node_close(&nodes[i]);
}

static void write_packets(uint32_t packets, uint8_t octet, const uint8_t type[2]) {
  static uint8_t bytes[FLOW_ROOM];
  flow.octet = octet;
  size_t length = flow_write(&flow, bytes, ends[0].pi, packets, PAYLOAD, PAYLOAD);
  if (type != NULL) memcpy(bytes + 2, type, 2);
  expect("bytes to the device", (uint64_t)send(ends[0].far, bytes, length, 0), length);
}

static unsigned outside_octet(int fd) {
  uint8_t bytes[2 * PAYLOAD + 100];
  _Alignas(struct cmsghdr) char control[ANCILLARY_ROOM];
  struct iovec part = {bytes, sizeof bytes};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  if (recvmsg(fd, &message, 0) <= 0) fail("recvmsg", (uint64_t)errno, 0);
  return ancillary_of(&message).octet;
}

/* What packets with each octet show, in bursts that only their octet tells apart. */
static void check_outside(const char *address, unsigned dscp, bool ecn) {
  uint16_t port;
  int other = open_udp(address, &port);
  int on = 1;
  setsockopt(other, IPPROTO_IP, IP_RECVTOS, &on, sizeof on);
  setsockopt(other, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof on);
  open_all(address, dscp, false);
  keypair->ecn = ecn;
  struct endpoint there = node_endpoint(&nodes[0], port);
  link_set_endpoint(ends[0].link, &there);
  for (unsigned octet = 0; octet < 256; octet += WINDOW) {
    for (unsigned i = 0; i < WINDOW; i++) write_packets(1 + i % 2 * 2, (uint8_t)(octet + i), NULL);
    for (unsigned i = 0; i < WINDOW; i++) {
      unsigned shown = dscp == DSCP_COPY ? (octet + i) & ~ECN_BITS : dscp << 2;
      if (ecn) shown |= (octet + i) & ECN_BITS;
      for (unsigned j = 0; j < 1 + i % 2 * 2; j++) expect("octet outside", outside_octet(other), shown);
    }
  }
  close_all();
  close(other);
}

/* What is no IP has nothing to show, whatever its bytes look like. */
static void check_foreign(const char *address) {
  static const uint8_t mpls[2] = {0x88, 0x47};
  uint16_t port;
  int other = open_udp(address, &port);
  int on = 1;
  setsockopt(other, IPPROTO_IP, IP_RECVTOS, &on, sizeof on);
  setsockopt(other, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof on);
  open_all(address, DSCP_COPY, true);
  struct endpoint there = node_endpoint(&nodes[0], port);
  link_set_endpoint(ends[0].link, &there);
  write_packets(1, 0xff, mpls);
  expect("octet outside", outside_octet(other), 0);
  write_packets(1, 0xff, NULL);
  expect("octet outside", outside_octet(other), 0xff);
  close_all();
  close(other);
}

static void take(void *context, uint16_t port, uint32_t number) {
  expect("flow", port, flow.port);
  *(uint32_t *)context = number;
}

static bool is_dropped(void *context) { return end_count(&ends[1], COUNTER_RX_CONGESTED) >= *(uint64_t *)context; }

/* Every pair of marks: RFC 6040, figure 4. The DSCP outside changes nothing. */
static void check_inside(const char *address) {
  static const uint8_t table[4][4] = {{0, 0, 0, 4}, {1, 1, 1, 3}, {2, 1, 2, 3}, {3, 3, 3, 3}};
  static uint8_t bytes[FLOW_ROOM];
  uint64_t dropped = 0;
  open_all(address, 0, false);
  for (unsigned round = 0; round < 2; round++) {
    uint32_t packets = round == 0 ? 1 : TOGETHER;
    for (unsigned inner = 0; inner < 4; inner++) {
      for (unsigned outer = 0; outer < 4; outer++) {
        atomic_store(&marked, (int)(0x28u | outer));
        write_packets(packets, (uint8_t)(EF << 2 | inner), NULL);
        if (table[inner][outer] == 4) {
          dropped += packets;
          await("packets dropped", is_dropped, &dropped);
          continue;
        }
        for (uint32_t last = UINT32_MAX; last != flow.next - 1;) {
          size_t length = await_far(&ends[1], bytes, sizeof bytes);
          const uint8_t *ip = bytes + sizeof(struct virtio_net_hdr);
          expect("octet inside", ip[IP_OCTET], EF << 2 | table[inner][outer]);
          expect("IPv4 checksum", checksum_fold(checksum_add(0, ip, IP_HEADER)), 0xffff);
          flow_read(bytes, length, false, true, take, &last);
        }
      }
    }
  }
  node_settle(&nodes[1]);
  expect("packets dropped", end_count(&ends[1], COUNTER_RX_CONGESTED), dropped);
  expect("packets received", end_count(&ends[1], COUNTER_RX_PACKETS) + dropped, flow.next);
  atomic_store(&marked, -1);
  close_all();
}

int main(int count, char **words) {
  if (count != 2) fail("words", (uint64_t)count, 2);
  check_outside(words[1], 0, true);
  check_outside(words[1], 0, false);
  check_outside(words[1], EF, true);
  check_outside(words[1], DSCP_COPY, true);
  check_outside(words[1], DSCP_COPY, false);
  check_foreign(words[1]);
  flow = (struct flow){.port = 1};
  check_inside(words[1]);
  puts("every octet as expected");
  return 0;
}

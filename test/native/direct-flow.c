#include "direct-flow.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include "checksum.h"
#include "direct-lab.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4 /* linux/virtio_net.h before 6.2 */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

#define IP 20u
#define TCP 20u
#define UDP 8u
#define NUMBER sizeof(uint32_t)

/* The rest of a payload: eight bits of what makes this packet this one. */
static uint8_t byte_of(uint32_t number, uint32_t at) { return (uint8_t)(number * 37u + at * 3u); }

static void put16(uint8_t *at, uint32_t value) {
  uint16_t bytes = htons((uint16_t)value);
  memcpy(at, &bytes, sizeof bytes);
}

static void put32(uint8_t *at, uint32_t value) {
  value = htonl(value);
  memcpy(at, &value, sizeof value);
}

static uint32_t get16(const uint8_t *at) { return at[0] * 256u + at[1]; }

static void put_sum(uint8_t *at, uint16_t sum) { memcpy(at, &sum, sizeof sum); }

uint32_t flow_header(bool tcp) { return IP + (tcp ? TCP : UDP); }

static void write_headers(struct flow *flow, uint8_t *ip, uint32_t length) {
  uint8_t *transport = ip + IP;
  uint8_t protocol = flow->tcp ? IPPROTO_TCP : IPPROTO_UDP;
  memset(ip, 0, flow_header(flow->tcp));
  ip[0] = 0x45;
  ip[1] = flow->octet;
  put16(ip + 2, length);
  put16(ip + 4, flow->next);
  put16(ip + 6, 0x4000);
  ip[8] = 64;
  ip[9] = protocol;
  put32(ip + 12, flow->source == 0 ? 0x0a000001 : flow->source);
  put32(ip + 16, 0x0a000002);
  put_sum(ip + 10, (uint16_t)~checksum_fold(checksum_add(0, ip, IP)));
  put16(transport, flow->port);
  put16(transport + 2, 443);
  if (flow->tcp) {
    put32(transport + 4, flow->bytes);
    transport[12] = 0x50;
    transport[13] = 0x10;
    put16(transport + 14, 500);
  } else {
    put16(transport + 4, length - IP);
  }
  put_sum(transport + (flow->tcp ? 16 : 6), checksum_fold(checksum_pseudo_ipv4(ip, protocol, length - IP)));
}

size_t flow_write(struct flow *flow, uint8_t *out, bool pi, uint32_t packets, uint32_t payload, uint32_t last) {
  uint32_t content = (packets - 1) * payload + last;
  uint32_t length = flow_header(flow->tcp) + content;
  struct tun_pi information = {.proto = htons(ETH_P_IP)};
  struct virtio_net_hdr header = {
      .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
      .csum_start = IP,
      .csum_offset = flow->tcp ? 16 : 6,
  };
  if (packets > 1) {
    header.gso_type = flow->tcp ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_UDP_L4;
    header.gso_size = (uint16_t)payload;
    header.hdr_len = (uint16_t)flow_header(flow->tcp);
  }
  uint8_t *at = out;
  if (pi) memcpy(at, &information, sizeof information), at += sizeof information;
  memcpy(at, &header, sizeof header);
  at += sizeof header;
  write_headers(flow, at, length);
  at += flow_header(flow->tcp);
  for (uint32_t i = 0; i < packets; i++, flow->next++) {
    uint32_t size = i + 1 < packets ? payload : last;
    put32(at, flow->next);
    for (uint32_t j = NUMBER; j < size; j++) at[j] = byte_of(flow->next, j);
    at += size;
  }
  flow->bytes += content;
  return (size_t)(at - out);
}

static void check_sum(const uint8_t *ip, size_t length) {
  uint64_t sum = checksum_pseudo_ipv4(ip, ip[9], (uint32_t)length - IP);
  expect("checksum of a packet", checksum_fold(checksum_add(sum, ip + IP, length - IP)), 0xffff);
}

void flow_read(const uint8_t *bytes, size_t length, bool pi, bool header,
               void (*take)(void *context, uint16_t port, uint32_t number), void *context) {
  struct virtio_net_hdr joined = {0};
  const uint8_t *end = bytes + length;
  if (pi) bytes += sizeof(struct tun_pi);
  if (header) memcpy(&joined, bytes, sizeof joined), bytes += sizeof joined;
  const uint8_t *ip = bytes;
  if (ip + IP > end) fail("bytes of a packet", length, IP);
  expect("length in the IP header", get16(ip + 2), (uint64_t)(end - ip));
  bool tcp = ip[9] == IPPROTO_TCP;
  const uint8_t *payload = ip + flow_header(tcp);
  if (payload + NUMBER > end) fail("bytes of a packet", length, flow_header(tcp) + NUMBER);
  if ((joined.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) == 0) check_sum(ip, (size_t)(end - ip));
  size_t step = joined.gso_type == VIRTIO_NET_HDR_GSO_NONE ? (size_t)(end - payload) : joined.gso_size;
  if (step < NUMBER) fail("bytes of a payload", step, NUMBER);
  for (; payload < end; payload += step) {
    uint32_t number;
    memcpy(&number, payload, NUMBER);
    number = ntohl(number);
    size_t size = (size_t)(end - payload) < step ? (size_t)(end - payload) : step;
    for (uint32_t j = NUMBER; j < size; j++) expect("byte of a packet", payload[j], byte_of(number, j));
    take(context, (uint16_t)get16(ip + IP), number);
  }
}

#include "segment.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "checksum.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4 /* linux/virtio_net.h before 6.2 */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

/* Fields, in bytes from the beginning of their header. */
enum {
  IPV4_LENGTH = 2,
  IPV4_IDENTIFICATION = 4,
  IPV4_FRAGMENT = 6,
  IPV4_PROTOCOL = 9,
  IPV4_CHECKSUM = 10,
  IPV4_SOURCE = 12,
  IPV4_HEADER = 20,
  IPV6_LENGTH = 4,
  IPV6_NEXT = 6,
  IPV6_HEADER = 40,
  TCP_SEQUENCE = 4,
  TCP_ACKNOWLEDGMENT = 8,
  TCP_OFFSET = 12,
  TCP_FLAGS = 13,
  TCP_WINDOW = 14,
  TCP_CHECKSUM = 16,
  TCP_URGENT = 18,
  TCP_HEADER = 20,
  UDP_LENGTH = 4,
  UDP_CHECKSUM = 6,
  UDP_HEADER = 8,
};

enum {
  IPV4_FRAGMENTED = 0x3fff, /* more fragments, or an offset */
  TCP_FIN = 0x01,
  TCP_PSH = 0x08,
  TCP_CWR = 0x80,
};

/* 16 bits as they lie in memory: what sums are made of. */
static inline uint16_t word_at(const uint8_t *bytes) {
  uint16_t word;
  memcpy(&word, bytes, sizeof word);
  return word;
}

static inline void set_word(uint8_t *bytes, uint16_t word) { memcpy(bytes, &word, sizeof word); }

static inline uint32_t number_at(const uint8_t *bytes) { return ntohs(word_at(bytes)); }

static uint32_t sequence_at(const uint8_t *bytes) {
  uint32_t sequence;
  memcpy(&sequence, bytes, sizeof sequence);
  return ntohl(sequence);
}

/* Where the transport header of `protocol` begins, or 0 where it does not. */
static uint32_t find_behind_ipv4(const uint8_t *packet, uint32_t length, uint8_t protocol) {
  if (length < IPV4_HEADER || packet[0] >> 4 != 4) return 0;
  uint32_t header = (packet[0] & 15u) * 4;
  if (header < IPV4_HEADER || header > length || number_at(packet + IPV4_LENGTH) != length) return 0;
  if ((number_at(packet + IPV4_FRAGMENT) & IPV4_FRAGMENTED) != 0) return 0;
  return packet[IPV4_PROTOCOL] == protocol ? header : 0;
}

/* Extension headers: those that the kernel's segmentation passes over. */
static uint32_t find_behind_ipv6(const uint8_t *packet, uint32_t length, uint8_t protocol) {
  if (length < IPV6_HEADER || packet[0] >> 4 != 6) return 0;
  if (number_at(packet + IPV6_LENGTH) != length - IPV6_HEADER) return 0;
  uint8_t next = packet[IPV6_NEXT];
  uint32_t at = IPV6_HEADER;
  while (next != protocol) {
    if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS) return 0;
    if (length - at < 8) return 0;
    uint32_t extension = (packet[at + 1] + 1u) * 8;
    if (length - at < extension) return 0;
    next = packet[at];
    at += extension;
  }
  return at;
}

/* One piece: the packet as it is. The kernel writes no checksum of zero here, whatever the protocol. */
static bool begin_whole(struct segment_cut *cut, const struct virtio_net_hdr *header, uint8_t *packet) {
  cut->header = 0;
  cut->payload = cut->length;
  if ((header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) == 0) return true;
  uint32_t start = header->csum_start;
  uint32_t field = start + header->csum_offset;
  if (field + 2 > cut->length) return false;
  uint16_t checksum = (uint16_t)~checksum_fold(checksum_add(0, packet + start, cut->length - start));
  set_word(packet + field, checksum == 0 ? 0xffff : checksum);
  return true;
}

/* Sums up what does not change from piece to piece. */
static void prepare(struct segment_cut *cut, bool seeded) {
  const uint8_t *ip = cut->packet;
  const uint8_t *transport = ip + cut->transport;
  uint32_t whole = cut->length - cut->transport;
  uint8_t protocol = cut->udp ? IPPROTO_UDP : IPPROTO_TCP;
  if (!cut->ipv6) {
    cut->identification = (uint16_t)number_at(ip + IPV4_IDENTIFICATION);
    cut->network_sum = checksum_add(word_at(ip), ip + IPV4_FRAGMENT, IPV4_CHECKSUM - IPV4_FRAGMENT);
    cut->network_sum = checksum_add(cut->network_sum, ip + IPV4_SOURCE, cut->transport - IPV4_SOURCE);
  }
  if (seeded) {
    /* The kernel's own sum: where a routing header has another final destination, this one cannot know it. */
    uint16_t without_length = (uint16_t)~htons((uint16_t)whole);
    cut->pseudo_sum = (uint64_t)word_at(transport + (cut->udp ? UDP_CHECKSUM : TCP_CHECKSUM)) + without_length;
  } else {
    cut->pseudo_sum = cut->ipv6 ? checksum_pseudo_ipv6(ip, protocol, 0) : checksum_pseudo_ipv4(ip, protocol, 0);
  }
  if (cut->udp) {
    cut->transport_sum = checksum_add(0, transport, UDP_LENGTH);
  } else {
    cut->sequence = sequence_at(transport + TCP_SEQUENCE);
    cut->flags = transport[TCP_FLAGS];
    uint64_t sum = checksum_add(0, transport, TCP_SEQUENCE);
    sum = checksum_add(sum, transport + TCP_ACKNOWLEDGMENT, TCP_OFFSET - TCP_ACKNOWLEDGMENT);
    sum = checksum_add(sum, transport + TCP_WINDOW, TCP_CHECKSUM - TCP_WINDOW);
    cut->transport_sum = checksum_add(sum, transport + TCP_URGENT, cut->header - cut->transport - TCP_URGENT);
  }
}

bool segment_begin(struct segment_cut *cut, const struct virtio_net_hdr *header, uint8_t *packet, size_t length) {
  if (length == 0 || length > SEGMENT_MAX) return false;
  *cut = (struct segment_cut){.packet = packet, .length = (uint32_t)length};
  if (header->gso_type == VIRTIO_NET_HDR_GSO_NONE) return begin_whole(cut, header, packet);

  bool seeded = (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0;
  switch (header->gso_type) {
    case VIRTIO_NET_HDR_GSO_TCPV4:
    case VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN:
      cut->transport = find_behind_ipv4(packet, cut->length, IPPROTO_TCP);
      break;
    case VIRTIO_NET_HDR_GSO_TCPV6:
    case VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN:
      cut->ipv6 = true;
      cut->transport = find_behind_ipv6(packet, cut->length, IPPROTO_TCP);
      break;
    case VIRTIO_NET_HDR_GSO_UDP_L4:
      if (!seeded) return false; /* as the kernel does with what it is given */
      cut->udp = true;
      cut->ipv6 = packet[0] >> 4 == 6;
      cut->transport = cut->ipv6 ? find_behind_ipv6(packet, cut->length, IPPROTO_UDP)
                                 : find_behind_ipv4(packet, cut->length, IPPROTO_UDP);
      break;
    default:
      return false;
  }
  if (cut->transport == 0 || header->gso_size == 0) return false;
  if (seeded && header->csum_start != cut->transport) return false;
  if (seeded && header->csum_offset != (cut->udp ? UDP_CHECKSUM : TCP_CHECKSUM)) return false;

  const uint8_t *transport = packet + cut->transport;
  uint32_t rest = cut->length - cut->transport;
  uint32_t own = UDP_HEADER;
  if (cut->udp) {
    if (rest < UDP_HEADER || number_at(transport + UDP_LENGTH) != rest) return false;
  } else {
    if (rest < TCP_HEADER) return false;
    own = (transport[TCP_OFFSET] >> 4) * 4u;
    if (own < TCP_HEADER || own > rest) return false;
  }
  if (rest - own <= header->gso_size) return begin_whole(cut, header, packet);
  /* header->hdr_len is a hint: how much of it is not in pages. */
  cut->header = cut->transport + own;
  cut->payload = header->gso_size;
  prepare(cut, seeded);
  return true;
}

uint32_t segment_pieces(const struct segment_cut *cut) {
  return (cut->length - cut->header + cut->payload - 1) / cut->payload;
}

uint32_t segment_largest(const struct segment_cut *cut) { return cut->header + cut->payload; }

bool segment_leave_sums(struct segment_cut *cut) {
  cut->partial = cut->header > 0 && cut->transport == (cut->ipv6 ? IPV6_HEADER : IPV4_HEADER);
  return cut->partial;
}

/* What the piece's checksum field holds: `sum` is over its changing fields, less the length. */
static uint16_t transport_checksum(const struct segment_cut *cut, const uint8_t *payload, uint32_t length,
                                   uint64_t sum) {
  uint16_t transport_length = htons((uint16_t)(cut->header - cut->transport + length));
  uint64_t pseudo = cut->pseudo_sum + transport_length;
  if (cut->partial) return checksum_fold(pseudo);
  if (cut->udp) sum += transport_length;
  uint16_t checksum = (uint16_t)~checksum_fold(checksum_add(pseudo + cut->transport_sum + sum, payload, length));
  return cut->udp && checksum == 0 ? 0xffff : checksum; /* zero would be none */
}

uint32_t segment_next(struct segment_cut *cut, uint8_t **piece) {
  uint32_t left = cut->length - cut->header - cut->at;
  if (left == 0) return 0;
  uint32_t payload = left < cut->payload ? left : cut->payload;
  uint8_t *out = *piece = cut->packet + cut->at;
  uint32_t length = cut->header + payload;
  if (cut->header == 0) {
    cut->at = payload;
    return length;
  }
  if (cut->at > 0) memmove(out, out - cut->payload, cut->header);
  uint8_t *transport = out + cut->transport;
  if (cut->udp) {
    set_word(transport + UDP_LENGTH, htons((uint16_t)(length - cut->transport)));
    set_word(transport + UDP_CHECKSUM, transport_checksum(cut, out + cut->header, payload, 0));
  } else {
    uint32_t sequence = htonl(cut->sequence + cut->at);
    memcpy(transport + TCP_SEQUENCE, &sequence, sizeof sequence);
    transport[TCP_FLAGS] = cut->flags;
    if (cut->at > 0) transport[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
    if (payload < left) transport[TCP_FLAGS] &= (uint8_t)~(TCP_FIN | TCP_PSH);
    uint64_t sum = (uint64_t)sequence + word_at(transport + TCP_OFFSET);
    set_word(transport + TCP_CHECKSUM, transport_checksum(cut, out + cut->header, payload, sum));
  }
  if (cut->ipv6) {
    set_word(out + IPV6_LENGTH, htons((uint16_t)(length - IPV6_HEADER)));
  } else {
    uint16_t ip_length = htons((uint16_t)length);
    uint16_t identification = htons(cut->identification++);
    set_word(out + IPV4_LENGTH, ip_length);
    set_word(out + IPV4_IDENTIFICATION, identification);
    set_word(out + IPV4_CHECKSUM, (uint16_t)~checksum_fold(cut->network_sum + ip_length + identification));
  }
  cut->at += payload;
  return length;
}

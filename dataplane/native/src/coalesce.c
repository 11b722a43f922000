#include "coalesce.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "checksum.h"

/* Parts of one write: IOV_MAX (linux/uio.h, UIO_MAXIOV). Two of them come before the first packet. */
#define PARTS 1024u
#define PACKETS (PARTS - 2u)
/* Flows whose last super-packet may still grow. */
#define OPEN 16u
/* A super-packet, its headers included: also what segment.h takes at most. */
#define LONGEST 65535u
/* UDP_GRO_CNT_MAX (net/ipv4/udp_offload.c). */
#define UDP_JOINED 64u

#define INFORMATION ((uint32_t)sizeof(struct tun_pi))
#define IPV4_HEADER 20u
#define IPV6_HEADER 40u
#define TCP_HEADER 20u
#define UDP_HEADER 8u
/* The longest headers that joining changes: TCP over IPv6, with all options. */
#define HEADERS 100u
#define DONT_FRAGMENT 0x4000u
#define TCP_FLAGS 13
#define TCP_PSH 0x08u
#define TCP_ACK 0x10u

struct added {
  uint8_t *bytes;
  uint32_t length;
  uint16_t payload; /* where that begins, if it is of a flow */
  uint16_t next;    /* the one after it in its super-packet */
  bool partial;     /* of a flow, and its checksum was left out */
};

/* What becomes one write. */
struct group {
  uint16_t first;
  uint16_t last;
  uint16_t packets;
};

enum kind {
  FOREIGN,   /* not IP, or not all of its header */
  ADDRESSED, /* IP: nothing but its addresses says what flow it is of. Fragments, options, ICMP, wrong lengths */
  FLOW       /* a whole TCP or UDP packet, the transport header right after the fixed IP header */
};

struct view {
  uint8_t *ip;
  uint64_t flow; /* protocol and ports; never 0 */
  uint32_t length;
  uint32_t transport; /* where that begins */
  uint32_t payload;
  bool ipv6;
  bool udp;
};

/* The last super-packet of a flow, or a packet that may become one, to which the flow's next packet can be joined. */
struct flow {
  struct view first;
  uint32_t length; /* of the super-packet */
  uint32_t sequence;
  uint16_t identification;
  uint16_t group;
  bool verified; /* the checksums of the first packet are right, or were left out */
};

struct coalesce {
  uint32_t packets;
  uint32_t groups;
  uint32_t recent; /* where the last look-up ended */
  uint32_t oldest; /* the next to be given up for another flow */
  bool information;
  uint64_t keys[OPEN]; /* view.flow of `flows`, 0 where there is none */
  struct flow flows[OPEN];
  struct group group[PACKETS];
  struct added added[PACKETS];
  struct iovec parts[PARTS];
  uint8_t kept[HEADERS]; /* those of a first packet as they came, while it stands for a super-packet */
};

static uint16_t read16(const uint8_t *at) {
  uint16_t value;
  memcpy(&value, at, sizeof value);
  return ntohs(value);
}

static uint32_t read32(const uint8_t *at) {
  uint32_t value;
  memcpy(&value, at, sizeof value);
  return ntohl(value);
}

static void write16(uint8_t *at, uint32_t value) {
  uint16_t bytes = htons((uint16_t)value);
  memcpy(at, &bytes, sizeof bytes);
}

struct coalesce *coalesce_new(void) { return calloc(1, sizeof(struct coalesce)); }

void coalesce_free(struct coalesce *coalesce) { free(coalesce); }

static enum kind look(struct view *view, uint8_t *packet, uint32_t length, bool information) {
  uint32_t before = information ? INFORMATION : 0;
  if (length < before + IPV4_HEADER) return FOREIGN;
  uint8_t *ip = packet + before;
  bool ipv6 = ip[0] >> 4 == 6;
  *view = (struct view){.ip = ip, .length = length - before, .ipv6 = ipv6};
  if (!ipv6 && ip[0] >> 4 != 4) return FOREIGN;
  if (ipv6 && view->length < IPV6_HEADER) return FOREIGN;
  if (information && read16(packet + 2) != (ipv6 ? ETH_P_IPV6 : ETH_P_IP)) return FOREIGN;

  if (ipv6 && read16(ip + 4) + IPV6_HEADER != view->length) return ADDRESSED;
  if (!ipv6 && (ip[0] != 0x45 || read16(ip + 2) != view->length)) return ADDRESSED;
  if (!ipv6 && (read16(ip + 6) & ~DONT_FRAGMENT) != 0) return ADDRESSED;
  uint8_t protocol = ipv6 ? ip[6] : ip[9];
  view->udp = protocol == IPPROTO_UDP;
  view->transport = ipv6 ? IPV6_HEADER : IPV4_HEADER;
  uint32_t rest = view->length - view->transport;
  const uint8_t *transport = ip + view->transport;
  uint32_t header = UDP_HEADER;
  if (view->udp) {
    if (rest < UDP_HEADER || read16(transport + 4) != rest) return ADDRESSED;
  } else {
    if (protocol != IPPROTO_TCP || rest < TCP_HEADER) return ADDRESSED;
    header = (transport[12] >> 4) * 4u;
    if (header < TCP_HEADER || header > rest) return ADDRESSED;
  }
  view->payload = view->transport + header;
  view->flow = (uint64_t)protocol << 32 | read32(transport);
  return FLOW;
}

static bool same(const struct view *a, const struct view *b, uint32_t from, uint32_t to) {
  return memcmp(a->ip + from, b->ip + from, to - from) == 0;
}

static bool same_addresses(const struct view *a, const struct view *b) {
  return a->ipv6 == b->ipv6 && (a->ipv6 ? same(a, b, 8, 40) : same(a, b, 12, 20));
}

/* Whether others may be joined to it, or it to another, as far as it alone can say. */
static bool joinable(const struct view *view, struct coalesce_options options) {
  const uint8_t *transport = view->ip + view->transport;
  if (view->length == view->payload) return false;
  if (view->udp) return options.udp && read16(transport + 6) != 0;
  return options.tcp && (transport[12] & 0x0f) == 0 && (transport[TCP_FLAGS] & ~TCP_PSH) == TCP_ACK;
}

/* Whether its headers are those of the packet that comes next in the flow. */
static bool follows(const struct coalesce *coalesce, const struct flow *flow, const struct view *view) {
  const struct view *first = &flow->first;
  uint32_t more = view->length - view->payload;
  if (view->length > first->length || flow->length + more > LONGEST) return false;
  if (coalesce->information && memcmp(view->ip - INFORMATION, first->ip - INFORMATION, INFORMATION) != 0) return false;

  if (view->ipv6) {
    if (!same(view, first, 0, 4) || view->ip[7] != first->ip[7]) return false; /* hop limit */
  } else {
    if (view->ip[1] != first->ip[1] || !same(view, first, 6, 9)) return false; /* DF, TTL */
    if (read16(view->ip + 4) != flow->identification) return false;
  }
  if (view->udp) return coalesce->group[flow->group].packets < UDP_JOINED;

  /* The data offset before the options, so that these are equally long. */
  uint32_t tcp = view->transport;
  return read32(view->ip + tcp + 4) == flow->sequence && same(view, first, tcp + 8, tcp + TCP_FLAGS) &&
         same(view, first, tcp + 14, tcp + 16) && same(view, first, tcp + 18, view->payload);
}

/* Whether a sender that computes the checksums writes these: 0 and 0xffff are the same to a receiver, but not here. */
static bool right(const struct view *view) {
  const uint8_t *ip = view->ip;
  const uint8_t *transport = ip + view->transport;
  uint32_t length = view->length - view->transport;
  if (!view->ipv6 && (checksum_fold(checksum_add(0, ip, IPV4_HEADER)) != 0xffff || read16(ip + 10) == 0xffff))
    return false;
  if (!view->udp && read16(transport + 16) == 0xffff) return false;
  uint8_t protocol = view->udp ? IPPROTO_UDP : IPPROTO_TCP;
  uint64_t sum = view->ipv6 ? checksum_pseudo_ipv6(ip, protocol, length) : checksum_pseudo_ipv4(ip, protocol, length);
  return checksum_fold(checksum_add(sum, transport, length)) == 0xffff;
}

static bool pushes(const struct view *view) {
  return !view->udp && (view->ip[view->transport + TCP_FLAGS] & TCP_PSH) != 0;
}

/* Where the packet's flow is, or OPEN. */
static uint32_t find(struct coalesce *coalesce, const struct view *view) {
  for (uint32_t i = 0; i < OPEN; i++) {
    uint32_t at = (coalesce->recent + i) % OPEN;
    if (coalesce->keys[at] == view->flow && same_addresses(view, &coalesce->flows[at].first)) {
      coalesce->recent = at;
      return at;
    }
  }
  return OPEN;
}

/* A packet that could be of any flow between two addresses is not to be overtaken by any of these. */
static void close_all_between(struct coalesce *coalesce, const struct view *view) {
  for (uint32_t at = 0; at < OPEN; at++) {
    if (coalesce->keys[at] != 0 && same_addresses(view, &coalesce->flows[at].first)) coalesce->keys[at] = 0;
  }
}

static void open_flow(struct coalesce *coalesce, uint32_t at, const struct view *view, bool partial) {
  for (uint32_t i = 0; i < OPEN && at == OPEN; i++) {
    if (coalesce->keys[i] == 0) at = i;
  }
  if (at == OPEN) at = coalesce->oldest++ % OPEN;
  coalesce->recent = at;
  coalesce->keys[at] = view->flow;
  coalesce->flows[at] = (struct flow){
      .first = *view,
      .length = view->length,
      .sequence = read32(view->ip + view->transport + 4) + view->length - view->payload,
      .identification = (uint16_t)(read16(view->ip + 4) + 1),
      .group = (uint16_t)(coalesce->groups - 1),
      .verified = partial,
  };
}

static void join(struct coalesce *coalesce, uint32_t at, const struct view *view, uint16_t index) {
  struct flow *flow = &coalesce->flows[at];
  struct group *group = &coalesce->group[flow->group];
  uint32_t payload = view->length - view->payload;
  coalesce->added[group->last].next = index;
  group->last = index;
  group->packets++;
  flow->length += payload;
  flow->sequence += payload;
  flow->identification++;
  if (view->length < flow->first.length || pushes(view)) coalesce->keys[at] = 0;
}

bool coalesce_add(struct coalesce *coalesce, uint8_t *packet, size_t length, struct coalesce_options options) {
  if (coalesce->packets == PACKETS) return false;
  uint16_t index = (uint16_t)coalesce->packets++;
  coalesce->added[index] = (struct added){.bytes = packet, .length = (uint32_t)length};
  coalesce->information = options.packet_information;

  struct view view;
  enum kind kind = look(&view, packet, (uint32_t)length, options.packet_information);
  if (kind == FLOW) {
    coalesce->added[index].payload = (uint16_t)(view.ip - packet + view.payload);
    coalesce->added[index].partial = options.partial;
  }
  uint32_t at = kind == FLOW ? find(coalesce, &view) : OPEN;
  bool opens = kind == FLOW && joinable(&view, options);
  if (at != OPEN) {
    struct flow *flow = &coalesce->flows[at];
    /* Sums last, and only of what would be joined: they cost more than everything else. */
    if (opens && follows(coalesce, flow, &view) && (flow->verified = flow->verified || right(&flow->first)) &&
        (options.partial || right(&view))) {
      join(coalesce, at, &view, index);
      return true;
    }
    coalesce->keys[at] = 0;
  }
  if (kind == ADDRESSED) close_all_between(coalesce, &view);
  coalesce->group[coalesce->groups++] = (struct group){.first = index, .last = index, .packets = 1};
  if (opens && !pushes(&view)) open_flow(coalesce, at, &view, options.partial);
  return true;
}

/* For a packet of a flow whose checksum is the kernel's to complete (include/linux/virtio_net.h). */
static struct virtio_net_hdr incomplete(const uint8_t *ip) {
  bool ipv6 = ip[0] >> 4 == 6;
  return (struct virtio_net_hdr){
      .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
      .csum_start = ipv6 ? IPV6_HEADER : IPV4_HEADER,
      .csum_offset = (ipv6 ? ip[6] : ip[9]) == IPPROTO_UDP ? 6 : 16,
  };
}

/* Makes the first packet's headers those of the super-packet, as virtio_net_hdr_to_skb wants them. `header` is the length
 * of both, `piece` that of the first payload. */
static struct virtio_net_hdr super(uint8_t *ip, const uint8_t *last, uint32_t header, uint32_t piece, uint32_t length) {
  struct virtio_net_hdr made = incomplete(ip);
  bool ipv6 = ip[0] >> 4 == 6;
  uint8_t protocol = ipv6 ? ip[6] : ip[9];
  bool udp = protocol == IPPROTO_UDP;
  uint32_t transport = made.csum_start;
  uint32_t rest = length - transport;
  if (ipv6) {
    write16(ip + 4, rest);
  } else {
    write16(ip + 2, length);
    memset(ip + 10, 0, 2);
    uint16_t sum = (uint16_t)~checksum_fold(checksum_add(0, ip, IPV4_HEADER));
    memcpy(ip + 10, &sum, sizeof sum);
  }
  if (udp) {
    write16(ip + transport + 4, rest);
  } else {
    ip[transport + TCP_FLAGS] |= last[transport + TCP_FLAGS] & TCP_PSH;
  }
  uint64_t pseudo = ipv6 ? checksum_pseudo_ipv6(ip, protocol, rest) : checksum_pseudo_ipv4(ip, protocol, rest);
  uint16_t sum = checksum_fold(pseudo);
  memcpy(ip + transport + made.csum_offset, &sum, sizeof sum);
  made.gso_type = udp ? VIRTIO_NET_HDR_GSO_UDP_L4 : ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
  made.hdr_len = (uint16_t)header;
  made.gso_size = (uint16_t)piece;
  return made;
}

/* The parts before the payloads of what is joined to it; how many there are. */
static int begin_parts(struct coalesce *coalesce, const struct added *first, struct virtio_net_hdr *header) {
  struct iovec *parts = coalesce->parts;
  uint32_t before = !coalesce->information ? 0 : first->length < INFORMATION ? first->length : INFORMATION;
  int count = 0;
  if (coalesce->information) parts[count++] = (struct iovec){first->bytes, before};
  parts[count++] = (struct iovec){header, sizeof *header};
  parts[count++] = (struct iovec){first->bytes + before, first->length - before};
  return count;
}

static void write_alone(struct coalesce *coalesce, const struct added *packet,
                        bool (*write)(void *, const struct iovec *, int, unsigned), void *context) {
  struct virtio_net_hdr header = {0};
  int count = begin_parts(coalesce, packet, &header);
  if (packet->partial) header = incomplete(coalesce->parts[count - 1].iov_base);
  write(context, coalesce->parts, count, 1);
}

/* False where `write` does not take it; then the first packet is again what it was. */
static bool write_joined(struct coalesce *coalesce, const struct group *group,
                         bool (*write)(void *, const struct iovec *, int, unsigned), void *context) {
  const struct added *first = &coalesce->added[group->first];
  const struct added *last = first;
  struct iovec *parts = coalesce->parts;
  struct virtio_net_hdr header;
  int count = begin_parts(coalesce, first, &header);
  uint8_t *ip = parts[count - 1].iov_base;
  uint32_t before = first->length - (uint32_t)parts[count - 1].iov_len;
  uint32_t length = first->length - before;
  for (uint32_t i = 1; i < group->packets; i++) {
    last = &coalesce->added[last->next];
    uint32_t payload = last->length - last->payload;
    parts[count++] = (struct iovec){last->bytes + last->payload, payload};
    length += payload;
  }
  uint32_t headers = first->payload - before;
  memcpy(coalesce->kept, ip, headers);
  header = super(ip, last->bytes + before, headers, first->length - first->payload, length);
  if (write(context, parts, count, group->packets)) return true;
  memcpy(ip, coalesce->kept, headers);
  return false;
}

static void write_group(struct coalesce *coalesce, const struct group *group,
                        bool (*write)(void *, const struct iovec *, int, unsigned), void *context) {
  if (group->packets > 1 && write_joined(coalesce, group, write, context)) return;
  const struct added *packet = &coalesce->added[group->first];
  for (uint32_t i = 0; i < group->packets; i++) {
    if (i > 0) packet = &coalesce->added[packet->next];
    write_alone(coalesce, packet, write, context);
  }
}

void coalesce_flush(struct coalesce *coalesce,
                    bool (*write)(void *context, const struct iovec *parts, int count, unsigned packets),
                    void *context) {
  for (uint32_t i = 0; i < coalesce->groups; i++) write_group(coalesce, &coalesce->group[i], write, context);
  coalesce->packets = coalesce->groups = 0;
  memset(coalesce->keys, 0, sizeof coalesce->keys);
}

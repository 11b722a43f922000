#include "sender.h"

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "ecn.h"

/* Bytes that the kernel takes in one call, over IPv6 and over IPv4. */
#define CALL 65000u
/* One record may be longer than that: the kernel then says so. */
#define BUFFER (POLLER_PI + SEGMENT_MAX + RECORD_OVERHEAD)
/* UDP_MAX_SEGMENTS before Linux 6.9. */
#define RECORDS 64u

#define IPV4_HEADER 20u
#define IPV6_HEADER 40u

struct sender {
  struct direct *direct;
  unsigned socket;
  struct keypair *keypair; /* whose records lie in the buffer */
  uint32_t used;
  uint32_t size; /* of each record but the last */
  uint32_t records;
  uint64_t packet_bytes;
  uint8_t octet; /* TOS or traffic class of all of them */
  bool ended; /* the last one is shorter */
  uint8_t buffer[BUFFER];
};

struct sender *sender_new(struct direct *direct, unsigned socket) {
  struct sender *sender = calloc(1, sizeof *sender);
  if (sender == NULL) return NULL;
  sender->direct = direct;
  sender->socket = socket;
  return sender;
}

void sender_free(struct sender *sender) { free(sender); }

static void account(struct link *link, int error, uint32_t records, uint64_t packet_bytes) {
  count(link->counters, COUNTER_TX_WRITES, 1);
  if (error == 0) {
    count(link->counters, COUNTER_TX_PACKETS, records);
    count(link->counters, COUNTER_TX_BYTES, packet_bytes);
    count(link->counters, COUNTER_TX_RECORDS, records);
    if (records > 1) count(link->counters, COUNTER_TX_SEGMENTED, records);
  } else {
    count(link->counters, error == EMSGSIZE || error == EINVAL ? COUNTER_TX_TOO_LONG : COUNTER_TX_REFUSED, records);
  }
}

static void transmit_singly(struct sender *sender, struct link *link, const struct ends *ends) {
  for (uint32_t at = 0; at < sender->used; at += sender->size) {
    uint32_t length = sender->used - at < sender->size ? sender->used - at : sender->size;
    int error = link_send(link, sender->socket, ends, sender->buffer + at, length, 0, sender->octet);
    account(link, error, 1, length - RECORD_OVERHEAD);
  }
}

static void flush(struct sender *sender) {
  if (sender->records == 0) return;
  struct link *link = sender->keypair->link;
  pthread_mutex_lock(&link->lock);
  struct ends ends = {.far = link->endpoint, .own = link->own};
  bool singly = link->uncut;
  pthread_mutex_unlock(&link->lock);
  singly = singly || atomic_load_explicit(&link->singly, memory_order_relaxed);
  uint32_t segment = sender->records > 1 ? sender->size : 0;
  int error =
      singly ? EIO : link_send(link, sender->socket, &ends, sender->buffer, sender->used, segment, sender->octet);
  if (error == EIO && !singly && sender->records > 1) {
    pthread_mutex_lock(&link->lock);
    link->uncut = endpoint_equals(&link->endpoint, &ends.far);
    pthread_mutex_unlock(&link->lock);
  }
  if (error == EIO) transmit_singly(sender, link, &ends);
  else account(link, error, sender->records, sender->packet_bytes);
  sender->used = sender->records = 0;
  sender->packet_bytes = 0;
  sender->ended = false;
}

void sender_dropped(struct outlet *outlet, unsigned packets) {
  count(((struct keypair *)outlet)->link->counters, COUNTER_TX_OVERFLOW, packets);
}

void sender_flush(struct outlet *outlet) {
  struct keypair *keypair = (struct keypair *)outlet;
  flush(keypair->link->sender);
}

/* Whether it is a packet of our own tunnels: UDP from our port and one of our addresses. The tunnels of other nodes, for
 * whom this one is a router, have the same port. */
static bool is_outer(const struct direct *direct, const struct segment_cut *cut) {
  const uint8_t *packet = cut->packet;
  bool ipv4 = packet[0] >> 4 == 4;
  uint32_t header = ipv4 ? IPV4_HEADER : IPV6_HEADER;
  uint32_t ports = ipv4 ? (packet[0] & 15u) * 4u : header;
  if (ports < header || ports + 2u > cut->length || packet[ipv4 ? 9 : 6] != IPPROTO_UDP) return false;
  if (packet[ports] * 256u + packet[ports + 1] != direct->port) return false;
  struct in6_addr source = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
  memcpy(&source.s6_addr[ipv4 ? 12 : 0], packet + (ipv4 ? 12 : 8), ipv4 ? 4 : 16);
  return own_has(direct->own, &source);
}

/* What is seen outside of a packet: its ECN where the peer takes that in again (RFC 6040, section 4.1), its DSCP where that
 * was asked for. */
static uint8_t outer_octet(const struct keypair *keypair, const uint8_t *pi, const struct segment_cut *cut) {
  unsigned dscp = keypair->link->direct->dscp;
  unsigned inner = ecn_is_ip(pi) ? ecn_octet(cut->packet, cut->length) : 0;
  return (uint8_t)((dscp == DSCP_COPY ? inner & ~ECN_BITS : dscp << 2) | (keypair->ecn ? inner & ECN_BITS : 0));
}

bool sender_waits(struct outlet *outlet) {
  return !atomic_load_explicit(&((struct keypair *)outlet)->link->by_udp, memory_order_relaxed);
}

uint32_t sender_seal(struct outlet *outlet, uint8_t *slot, const uint8_t *pi, struct segment_cut *cut) {
  struct keypair *keypair = (struct keypair *)outlet;
  struct link *link = keypair->link;
  uint8_t *text;
  uint32_t prefix = pi == NULL ? 0 : POLLER_PI;
  uint32_t length = segment_next(cut, &text) + prefix;
  text -= prefix;
  if (pi != NULL) memcpy(text, pi, POLLER_PI);
  struct record_header header = {
      .kind = RECORD_PACKET,
      .lane = RECORD_DATA,
      .flags = link->flags,
      .index = keypair->peer_index,
      .counter = keypair_counter(keypair, RECORD_DATA),
  };
  if (!record_seal(keypair->seal, slot, text, length, header)) {
    count(link->counters, COUNTER_TX_REFUSED, 1);
    return 0;
  }
  count(link->counters, COUNTER_TX_PACKETS, 1);
  count(link->counters, COUNTER_TX_DATA, 1);
  count(link->counters, COUNTER_TX_BYTES, length);
  return length + RECORD_OVERHEAD;
}

bool sender_send(struct outlet *outlet, const uint8_t *pi, struct segment_cut *cut) {
  struct keypair *keypair = (struct keypair *)outlet;
  struct link *link = keypair->link;
  struct sender *sender = link->sender;
  uint32_t prefix = pi == NULL ? 0 : POLLER_PI;
  uint32_t largest = prefix + segment_largest(cut);
  if (is_outer(link->direct, cut)) {
    count(link->counters, COUNTER_TX_LOOPED, segment_pieces(cut));
    return true;
  }
  bool by_udp = atomic_load_explicit(&link->by_udp, memory_order_relaxed);
  bool fits = largest <= atomic_load_explicit(&link->limit, memory_order_relaxed);
  if (by_udp && !fits) count(link->counters, COUNTER_TX_ASIDE, 1);
  if (!by_udp || !fits) {
    link->flags = segment_leave_sums(cut) ? RECORD_PARTIAL : 0;
    return false;
  }
  uint32_t size = largest + RECORD_OVERHEAD;
  uint8_t octet = outer_octet(keypair, pi, cut);
  uint8_t flags = segment_leave_sums(cut) ? RECORD_PARTIAL : 0;
  for (;;) {
    if (sender->records > 0 && (sender->keypair != keypair || sender->size != size || sender->octet != octet ||
                                sender->ended ||
                                sender->records == RECORDS || sender->used + size > CALL)) {
      flush(sender);
    }
    uint8_t *record = sender->buffer + sender->used;
    uint8_t *text;
    uint32_t length = segment_next(cut, &text);
    if (length == 0) return true;
    text -= prefix;
    length += prefix;
    if (pi != NULL) memcpy(text, pi, POLLER_PI);
    struct record_header header = {
        .kind = RECORD_PACKET,
        .flags = flags,
        .index = keypair->peer_index,
        .counter = keypair_counter(keypair, RECORD_UDP),
    };
    if (!record_seal(keypair->seal, record, text, length, header)) {
      count(link->counters, COUNTER_TX_REFUSED, 1);
      continue;
    }
    sender->keypair = keypair;
    sender->size = size;
    sender->octet = octet;
    sender->used += length + RECORD_OVERHEAD;
    sender->records++;
    sender->packet_bytes += length;
    sender->ended = length < largest;
  }
}

static bool drop(struct outlet *outlet, const uint8_t *pi, struct segment_cut *cut) {
  (void)pi;
  count(((struct link *)outlet)->counters, COUNTER_TX_KEYLESS, segment_pieces(cut));
  return true;
}

static bool never(struct outlet *outlet) {
  (void)outlet;
  return false;
}

static void nothing(struct outlet *outlet) { (void)outlet; }

void sender_close(struct link *link) {
  link->closed = (struct outlet){.send = drop, .waits = never, .flush = nothing};
}

#include "intake.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "admission.h"
#include "coalesce.h"
#include "probe.h"

struct intake {
  enum record_lane lane;
  struct coalesce *coalesce;
  struct link *pending; /* whose packets lie in it */
};

struct intake *intake_new(enum record_lane lane) {
  struct intake *intake = calloc(1, sizeof *intake);
  if (intake == NULL) return NULL;
  intake->lane = lane;
  intake->coalesce = coalesce_new();
  if (intake->coalesce != NULL) return intake;
  free(intake);
  return NULL;
}

void intake_free(struct intake *intake) {
  if (intake != NULL) coalesce_free(intake->coalesce);
  free(intake);
}

/* A super-packet that the device refuses for what it is will be refused again: the kernel does not take its kind. */
static void stop_joining(struct link *link, const struct virtio_net_hdr *header) {
  _Atomic bool *joins = header->gso_type == VIRTIO_NET_HDR_GSO_UDP_L4 ? &link->joins_udp : &link->joins_tcp;
  atomic_store_explicit(joins, false, memory_order_relaxed);
  count(link->counters, COUNTER_RX_UNJOINED, 1);
}

/* False for a super-packet that the device does not take for what it is. */
static bool write_packet(void *context, const struct iovec *parts, int parts_count, unsigned packets) {
  struct intake *intake = context;
  struct link *link = intake->pending;
  const struct virtio_net_hdr *joined = parts[link->pi ? 1 : 0].iov_base;
  /* The headers that joining left out were received, too. */
  uint64_t bytes = (packets - 1) * ((link->pi ? POLLER_PI : 0) + (uint64_t)joined->hdr_len);
  for (int i = 0; i < parts_count; i++) bytes += parts[i].iov_len;
  ssize_t written;
  do {
    written = writev(link->tun, parts, parts_count);
  } while (written < 0 && errno == EINTR);
  count(link->counters, COUNTER_RX_WRITES, 1);
  if (written < 0 && errno == EINVAL && packets > 1) {
    stop_joining(link, joined);
    return false;
  }
  if (written < 0) {
    count(link->counters, COUNTER_RX_REFUSED, packets);
    return true;
  }
  count(link->counters, COUNTER_RX_PACKETS, packets);
  if (intake->lane == RECORD_DATA) count(link->counters, COUNTER_RX_DATA, packets);
  count(link->counters, COUNTER_RX_BYTES, bytes - sizeof(struct virtio_net_hdr));
  return true;
}

void intake_flush(struct intake *intake) {
  if (intake->pending != NULL) coalesce_flush(intake->coalesce, write_packet, intake);
  intake->pending = NULL;
}

static void take_packet(struct intake *intake, struct link *link, uint8_t *packet, size_t length, uint8_t flags,
                        enum ecn ecn) {
  if (length == 0) return; /* only a sign of life */
  if (length <= (link->pi ? POLLER_PI : 0)) {
    count(link->counters, COUNTER_RX_MALFORMED, 1);
    return;
  }
  enum admission admission = admission_of(packet, length, link->pi);
  if (admission != ADMITTED) {
    count(link->counters, admission == ADMISSION_PROTOCOL ? COUNTER_RX_PROTOCOL : COUNTER_RX_CONFIGURING, 1);
    return;
  }
  struct coalesce_options options = {
      .tcp = atomic_load_explicit(&link->joins_tcp, memory_order_relaxed),
      .udp = atomic_load_explicit(&link->joins_udp, memory_order_relaxed),
      .packet_information = link->pi,
      .partial = (flags & RECORD_PARTIAL) != 0,
  };
  uint32_t prefix = link->pi ? POLLER_PI : 0;
  size_t inner = ecn_is_ip(link->pi ? packet : NULL) ? length - prefix : 0;
  if (ecn != ECN_NOT_ECT && !ecn_bring_in(packet + prefix, inner, ecn)) {
    count(link->counters, COUNTER_RX_CONGESTED, 1);
    return;
  }
  if (intake->pending != link) intake_flush(intake);
  intake->pending = link;
  if (coalesce_add(intake->coalesce, packet, length, options)) return;
  intake_flush(intake);
  intake->pending = link;
  coalesce_add(intake->coalesce, packet, length, options);
}

bool intake_take(struct intake *intake, struct keypair *keypair, uint8_t *record, size_t length,
                 const struct record_header *header, const struct ends *ends, enum ecn ecn) {
  struct link *link = keypair->link;
  struct replay *replay = &keypair->replay[intake->lane];
  if (!replay_is_new(replay, header->counter)) {
    count(link->counters, COUNTER_RX_REPLAYED, 1);
    return false;
  }
  int64_t opened = record_open(keypair->open[intake->lane], record, length, header);
  if (opened < 0) {
    count(link->counters, COUNTER_RX_FORGED, 1);
    return false;
  }
  replay_accept(replay, header->counter);
  if (intake->lane == RECORD_UDP) count(link->counters, COUNTER_RX_RECORDS, 1);
  /* Read before it is written: else every record would take the line from the other lane's thread. */
  if (!atomic_load_explicit(&keypair->heard, memory_order_relaxed) && !atomic_exchange(&keypair->heard, true)) {
    events_add(&link->direct->events, (struct event){.type = EVENT_HEARD, .index = keypair->index});
  }
  uint8_t *content = record + RECORD_HEADER;
  if (header->kind == RECORD_PACKET) take_packet(intake, link, content, (size_t)opened, header->flags, ecn);
  else if (ends == NULL || !probe_take(keypair, header->kind, content, (size_t)opened, ends)) {
    count(link->counters, COUNTER_RX_MALFORMED, 1);
  }
  return header->counter + 1 == replay->next;
}

#include "receiver.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "admission.h"
#include "busy_poll.h"
#include "coalesce.h"
#include "ecn.h"
#include "probe.h"
#include "roaming.h"
#include "thread.h"

/* What the kernel joined, and how many of that are taken in one call. */
#define DATAGRAM 65536u
#define BATCH 8u

struct receiver {
  struct direct *direct;
  unsigned number; /* among direct->outer's */
  int socket;
  int wake; /* eventfd: stop */
  pthread_t thread;
  struct coalesce *coalesce;
  struct link *pending;    /* whose packets lie in it */
  struct session *current; /* found last; of this batch only */
  enum ecn ecn; /* of the datagrams at hand */
  uint32_t lost; /* datagrams that the socket had no room for, of which a link was told */
  struct mmsghdr messages[BATCH];
  struct iovec parts[BATCH];
  struct sockaddr_storage sources[BATCH];
  _Alignas(struct cmsghdr) char control[BATCH][ANCILLARY_ROOM];
  uint8_t *datagrams;
};

/* A super-packet that the device refuses for what it is will be refused again: the kernel does not take its kind. */
static void stop_joining(struct link *link, const struct virtio_net_hdr *header) {
  _Atomic bool *joins = header->gso_type == VIRTIO_NET_HDR_GSO_UDP_L4 ? &link->joins_udp : &link->joins_tcp;
  atomic_store_explicit(joins, false, memory_order_relaxed);
  count(link->counters, COUNTER_RX_UNJOINED, 1);
}

/* False for a super-packet that the device does not take for what it is. */
static bool write_packet(void *context, const struct iovec *parts, int parts_count, unsigned packets) {
  struct link *link = context;
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
  count(link->counters, COUNTER_RX_BYTES, bytes - sizeof(struct virtio_net_hdr));
  return true;
}

static void flush(struct receiver *receiver) {
  if (receiver->pending != NULL) coalesce_flush(receiver->coalesce, write_packet, receiver->pending);
  receiver->pending = NULL;
}

static void take_packet(struct receiver *receiver, struct link *link, uint8_t *packet, size_t length, uint8_t flags) {
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
  if (receiver->ecn != ECN_NOT_ECT && !ecn_bring_in(packet + prefix, inner, receiver->ecn)) {
    count(link->counters, COUNTER_RX_CONGESTED, 1);
    return;
  }
  if (receiver->pending != link) flush(receiver);
  receiver->pending = link;
  if (coalesce_add(receiver->coalesce, packet, length, options)) return;
  flush(receiver);
  receiver->pending = link;
  coalesce_add(receiver->coalesce, packet, length, options);
}

/* Its session, where it is the newest of that; an older one may have been held back by somebody. */
static struct session *take_record(struct receiver *receiver, uint8_t *record, size_t length,
                                   const struct ends *ends) {
  struct direct *direct = receiver->direct;
  struct record_header header;
  if (!record_parse(record, length, &header)) {
    count(direct->counters, COUNTER_NO_RECORD, 1);
    return NULL;
  }
  struct session *session = receiver->current;
  if (session == NULL || session->index != header.index) {
    /* Behind the record that the kernel chose us by there may be others in one message: not ours to open. */
    bool ours = outer_receiver(&direct->outer, header.index) == receiver->number;
    session = ours ? session_find(direct, header.index) : NULL;
  }
  if (session == NULL) {
    count(direct->counters, COUNTER_UNKNOWN, 1);
    return NULL;
  }
  receiver->current = session;
  struct link *link = session->link;
  if (!replay_is_new(&session->replay, header.counter)) {
    count(link->counters, COUNTER_RX_REPLAYED, 1);
    return NULL;
  }
  int64_t opened = record_open(session->open, record, length, &header);
  if (opened < 0) {
    count(link->counters, COUNTER_RX_FORGED, 1);
    return NULL;
  }
  replay_accept(&session->replay, header.counter);
  count(link->counters, COUNTER_RX_RECORDS, 1);
  if (!session->heard) {
    session->heard = true;
    events_add(&direct->events, (struct event){.type = EVENT_HEARD, .index = session->index});
  }
  uint8_t *content = record + RECORD_HEADER;
  if (header.kind == RECORD_PACKET) take_packet(receiver, link, content, (size_t)opened, header.flags);
  else if (!probe_take(session, header.kind, content, (size_t)opened, ends)) {
    count(link->counters, COUNTER_RX_MALFORMED, 1);
  }
  return header.counter + 1 == session->replay.next ? session : NULL;
}

static void take_message(struct receiver *receiver, unsigned i) {
  struct msghdr *message = &receiver->messages[i].msg_hdr;
  size_t length = receiver->messages[i].msg_len;
  struct ancillary with = ancillary_of(message);
  size_t segment = with.segment > 0 ? with.segment : length;
  struct ends ends = {.far = {.length = message->msg_namelen}, .own = with.own};
  memcpy(&ends.far.address, &receiver->sources[i], sizeof ends.far.address);
  receiver->ecn = with.octet & ECN_BITS;
  uint8_t *bytes = receiver->parts[i].iov_base;
  struct session *newest = NULL;
  for (size_t at = 0; at < length; at += segment) {
    newest = take_record(receiver, bytes + at, length - at < segment ? length - at : segment, &ends);
  }
  if (newest == NULL) return;
  roaming_heard(newest, &ends);
  /* Told with every datagram, once there was one; modulo 2³². */
  if (with.lost == 0 || with.lost == receiver->lost) return;
  count(newest->link->counters, COUNTER_RX_OVERFLOW, with.lost - receiver->lost);
  receiver->lost = with.lost;
}

static void receive(struct receiver *receiver) {
  for (unsigned i = 0; i < BATCH; i++) {
    struct msghdr *message = &receiver->messages[i].msg_hdr;
    message->msg_namelen = sizeof receiver->sources[i];
    message->msg_controllen = sizeof receiver->control[i];
  }
  int got = recvmmsg(receiver->socket, receiver->messages, BATCH, MSG_DONTWAIT, NULL);
  if (got <= 0) return;
  pthread_rwlock_rdlock(&receiver->direct->lock);
  for (int i = 0; i < got; i++) take_message(receiver, (unsigned)i);
  flush(receiver);
  receiver->current = NULL;
  pthread_rwlock_unlock(&receiver->direct->lock);
}

static int look(void *context, int timeout) { return poll(context, 2, timeout); }

static void *run(void *argument) {
  struct receiver *receiver = argument;
  struct pollfd wanted[] = {{.fd = receiver->socket, .events = POLLIN}, {.fd = receiver->wake, .events = POLLIN}};
  struct busy_poll busy = {0};
  for (;;) {
    if (busy_poll_wait(&busy, look, wanted) < 0) continue;
    if (wanted[1].revents != 0) return NULL;
    if (wanted[0].revents != 0) receive(receiver);
  }
}

static void free_receiver(struct receiver *receiver) {
  if (receiver->wake >= 0) close(receiver->wake);
  coalesce_free(receiver->coalesce);
  free(receiver->datagrams);
  free(receiver);
}

struct receiver *receiver_start(struct direct *direct, unsigned number) {
  struct receiver *receiver = calloc(1, sizeof *receiver);
  if (receiver == NULL) return NULL;
  receiver->direct = direct;
  receiver->number = number;
  receiver->socket = direct->outer.sockets[number];
  receiver->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  receiver->coalesce = coalesce_new();
  receiver->datagrams = malloc(BATCH * DATAGRAM);
  int error = receiver->wake < 0 ? errno : receiver->coalesce == NULL || receiver->datagrams == NULL ? ENOMEM : 0;
  if (error == 0) {
    for (unsigned i = 0; i < BATCH; i++) {
      receiver->parts[i] = (struct iovec){receiver->datagrams + i * DATAGRAM, DATAGRAM};
      receiver->messages[i].msg_hdr = (struct msghdr){
          .msg_name = &receiver->sources[i],
          .msg_iov = &receiver->parts[i],
          .msg_iovlen = 1,
          .msg_control = receiver->control[i],
      };
    }
    error = thread_start(&receiver->thread, "cryonet-receive", run, receiver);
  }
  if (error == 0) return receiver;
  free_receiver(receiver);
  errno = error;
  return NULL;
}

void receiver_stop(struct receiver *receiver) {
  thread_wake(receiver->wake);
  pthread_join(receiver->thread, NULL);
  free_receiver(receiver);
}

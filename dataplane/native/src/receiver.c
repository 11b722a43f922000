#include "receiver.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "busy_poll.h"
#include "intake.h"
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
  struct intake *intake;
  struct keypair *current; /* found last; of this batch only */
  uint32_t lost; /* datagrams that the socket had no room for, of which a link was told */
  struct mmsghdr messages[BATCH];
  struct iovec parts[BATCH];
  struct sockaddr_storage sources[BATCH];
  _Alignas(struct cmsghdr) char control[BATCH][ANCILLARY_ROOM];
  uint8_t *datagrams;
};

/* Its keypair, where it is the newest of that; an older one may have been held back by somebody. */
static struct keypair *take_record(struct receiver *receiver, uint8_t *record, size_t length, const struct ends *ends,
                                   enum ecn ecn) {
  struct direct *direct = receiver->direct;
  struct record_header header;
  if (!record_parse(record, length, &header) || header.lane != RECORD_UDP) {
    count(direct->counters, COUNTER_NO_RECORD, 1);
    return NULL;
  }
  struct keypair *keypair = receiver->current;
  if (keypair == NULL || keypair->index != header.index) {
    /* Behind the record that the kernel chose us by there may be others in one message: not ours to open. */
    bool ours = outer_receiver(&direct->outer, header.index) == receiver->number;
    keypair = ours ? keypair_find(direct, header.index) : NULL;
  }
  if (keypair == NULL) {
    count(direct->counters, COUNTER_UNKNOWN, 1);
    return NULL;
  }
  receiver->current = keypair;
  return intake_take(receiver->intake, keypair, record, length, &header, ends, ecn) ? keypair : NULL;
}

static void take_message(struct receiver *receiver, unsigned i) {
  struct msghdr *message = &receiver->messages[i].msg_hdr;
  size_t length = receiver->messages[i].msg_len;
  struct ancillary with = ancillary_of(message);
  size_t segment = with.segment > 0 ? with.segment : length;
  struct ends ends = {.far = {.length = message->msg_namelen}, .own = with.own};
  memcpy(&ends.far.address, &receiver->sources[i], sizeof ends.far.address);
  enum ecn ecn = with.octet & ECN_BITS;
  uint8_t *bytes = receiver->parts[i].iov_base;
  struct keypair *newest = NULL;
  for (size_t at = 0; at < length; at += segment) {
    newest = take_record(receiver, bytes + at, length - at < segment ? length - at : segment, &ends, ecn);
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
  intake_flush(receiver->intake);
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
  intake_free(receiver->intake);
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
  receiver->intake = intake_new(RECORD_UDP);
  receiver->datagrams = malloc(BATCH * DATAGRAM);
  int error = receiver->wake < 0 ? errno : receiver->intake == NULL || receiver->datagrams == NULL ? ENOMEM : 0;
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

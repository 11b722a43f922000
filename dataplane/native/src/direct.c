#include "direct.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "intake.h"
#include "receiver.h"
#include "sender.h"

struct direct *direct_open(void (*bell)(void *context), void *context) {
  struct direct *direct = calloc(1, sizeof *direct);
  if (direct == NULL) return NULL;
  events_open(&direct->events, bell, context);
  pthread_rwlockattr_t fair;
  pthread_rwlockattr_init(&fair);
  /* Else busy receivers would keep the owner waiting. */
  pthread_rwlockattr_setkind_np(&fair, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
  pthread_rwlock_init(&direct->lock, &fair);
  pthread_rwlockattr_destroy(&fair);
  direct->intake = intake_new(RECORD_DATA);
  direct->own = own_open();
  if (direct->intake != NULL && direct->own != NULL) return direct;
  int error = direct->intake == NULL ? ENOMEM : errno;
  direct_close(direct);
  errno = error;
  return NULL;
}

void direct_close(struct direct *direct) {
  direct_unlisten(direct);
  for (unsigned i = 0; i < OUTER_MAX; i++) sender_free(direct->senders[i]);
  events_close(&direct->events);
  intake_free(direct->intake);
  own_close(direct->own);
  pthread_rwlock_destroy(&direct->lock);
  free(direct);
}

int direct_listen(struct direct *direct, unsigned receivers, uint32_t mark, unsigned dscp, const char **step) {
  direct->dscp = dscp;
  for (unsigned i = 0; i < DIRECT_COUNTERS; i++) atomic_store(&direct->counters[i], 0);
  int error = outer_open(&direct->outer, direct->port, receivers, mark, step);
  if (error != 0) {
    direct->outer.count = 0;
    return error;
  }
  for (unsigned i = 0; i < receivers && error == 0; i++) {
    *step = "starting a thread";
    direct->receivers[i] = receiver_start(direct, i);
    if (direct->receivers[i] == NULL) error = errno;
  }
  if (error != 0) direct_unlisten(direct);
  return error;
}

void direct_unlisten(struct direct *direct) {
  if (direct->outer.count == 0) return;
  for (unsigned i = 0; i < OUTER_MAX; i++) {
    if (direct->receivers[i] != NULL) receiver_stop(direct->receivers[i]);
    direct->receivers[i] = NULL;
  }
  struct outer outer = direct->outer;
  direct->outer.count = 0;
  outer_close(&outer);
}

struct link *link_new(struct direct *direct, struct device *device, unsigned reader, bool pi, bool udp) {
  struct link *link = calloc(1, sizeof *link);
  if (link == NULL) return NULL;
  if (direct->senders[reader] == NULL) direct->senders[reader] = sender_new(direct, reader);
  if (direct->senders[reader] == NULL) {
    free(link);
    return NULL;
  }
  link->direct = direct;
  link->device = device;
  link->sender = direct->senders[reader];
  link->tun = device_fd(device);
  link->pi = pi;
  link->udp = udp;
  link_join(link);
  pthread_mutex_init(&link->lock, NULL);
  sender_close(link);
  link_use(link, NULL);
  return link;
}

void link_free(struct link *link) {
  device_set_outlet(link->device, NULL);
  for (unsigned i = 0; i < KEYPAIR_BUCKETS; i++) {
    for (struct keypair *keypair = link->direct->table[i], *next; keypair != NULL; keypair = next) {
      next = keypair->next;
      if (keypair->link == link) keypair_remove(keypair);
    }
  }
  pthread_mutex_destroy(&link->lock);
  free(link);
}

void link_set_endpoint(struct link *link, const struct endpoint *endpoint) {
  pthread_mutex_lock(&link->lock);
  link->endpoint = *endpoint;
  link->own = (struct own_address){0};
  link->own_since = 0;
  link->followed = link->uncut = false;
  memset(link->questions, 0, sizeof link->questions);
  pthread_mutex_unlock(&link->lock);
}

void link_join(struct link *link) {
  atomic_store_explicit(&link->joins_tcp, true, memory_order_relaxed);
  atomic_store_explicit(&link->joins_udp, link->udp, memory_order_relaxed);
}

void link_set_limit(struct link *link, uint32_t bytes) { atomic_store(&link->limit, bytes); }

void link_set_segmentation(struct link *link, bool on) { atomic_store(&link->singly, !on); }

void link_use(struct link *link, struct keypair *keypair) {
  link->used = keypair == NULL ? &link->closed : &keypair->outlet;
  device_set_outlet(link->device, link->used);
}

void link_carry(struct link *link, bool by_udp) {
  atomic_store(&link->by_udp, by_udp);
  /* Where a full ring has stopped the reading, UDP need not wait; what is in the sender's buffer leaves. */
  device_set_outlet(link->device, link->used);
}

void link_open(struct link *link, uint8_t *record, size_t length) {
  struct direct *direct = link->direct;
  struct record_header header;
  if (!record_parse(record, length, &header) || header.lane != RECORD_DATA) {
    count(direct->counters, COUNTER_NO_RECORD, 1);
    return;
  }
  struct keypair *keypair = keypair_find(direct, header.index);
  if (keypair != NULL && keypair->link == link) {
    intake_take(direct->intake, keypair, record, length, &header, NULL, ECN_NOT_ECT);
  } else {
    count(direct->counters, COUNTER_UNKNOWN, 1);
  }
}

void link_opened(struct link *link) { intake_flush(link->direct->intake); }

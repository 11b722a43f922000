#include "direct.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "receiver.h"
#include "sender.h"

static void stop(struct direct *direct) {
  for (unsigned i = 0; i < OUTER_MAX; i++) {
    if (direct->receivers[i] != NULL) receiver_stop(direct->receivers[i]);
    sender_free(direct->senders[i]);
  }
  events_close(&direct->events);
  own_close(direct->own);
  pthread_rwlock_destroy(&direct->lock);
  free(direct);
}

struct direct *direct_open(uint16_t port, unsigned workers, uint32_t mark, unsigned dscp,
                           void (*bell)(void *context), void *context, const char **step) {
  *step = "memory";
  struct direct *direct = calloc(1, sizeof *direct);
  if (direct == NULL) return NULL;
  direct->port = port;
  direct->dscp = dscp;
  events_open(&direct->events, bell, context);
  pthread_rwlockattr_t fair;
  pthread_rwlockattr_init(&fair);
  /* Else busy receivers would keep the owner waiting. */
  pthread_rwlockattr_setkind_np(&fair, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
  pthread_rwlock_init(&direct->lock, &fair);
  pthread_rwlockattr_destroy(&fair);
  int error = 0;
  for (unsigned i = 0; i < workers; i++) {
    direct->senders[i] = sender_new(direct, i);
    if (direct->senders[i] == NULL) error = ENOMEM;
  }
  if (error == 0) error = outer_open(&direct->outer, port, workers, mark, step);
  bool opened = error == 0;
  if (opened) {
    *step = "hearing of addresses";
    direct->own = own_open();
    if (direct->own == NULL) error = errno;
  }
  for (unsigned i = 0; i < workers && error == 0; i++) {
    *step = "starting a thread";
    direct->receivers[i] = receiver_start(direct, i);
    if (direct->receivers[i] == NULL) error = errno;
  }
  if (error == 0) return direct;
  struct outer outer = direct->outer;
  stop(direct);
  if (opened) outer_close(&outer);
  errno = error;
  return NULL;
}

void direct_close(struct direct *direct) {
  struct outer outer = direct->outer;
  stop(direct);
  outer_close(&outer);
}

struct link *link_new(struct direct *direct, struct device *device, unsigned reader, bool pi, bool udp) {
  struct link *link = calloc(1, sizeof *link);
  if (link == NULL) return NULL;
  link->direct = direct;
  link->device = device;
  link->sender = direct->senders[reader];
  link->tun = device_fd(device);
  link->pi = pi;
  link->udp = udp;
  link_join(link);
  pthread_mutex_init(&link->lock, NULL);
  return link;
}

void link_free(struct link *link) {
  link_use(link, NULL);
  for (unsigned i = 0; i < SESSION_BUCKETS; i++) {
    for (struct session *session = link->direct->table[i], *next; session != NULL; session = next) {
      next = session->next;
      if (session->link == link) session_remove(session);
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

void link_use(struct link *link, struct session *session) {
  device_set_outlet(link->device, session == NULL ? NULL : &session->outlet);
}

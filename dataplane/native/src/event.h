/* What native threads tell the owner: a bounded queue, and a bell that rings once until it is emptied. */
#ifndef CRYONET_EVENT_H
#define CRYONET_EVENT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum event_type {
  EVENT_HEARD = 1,  /* the first record of a keypair came */
  EVENT_REPLY = 2,  /* a probe was answered */
  EVENT_ROAMED = 3, /* records come from another address than before */
};

/* Of an older peer. */
#define EVENT_UNTOLD UINT64_MAX

struct event {
  enum event_type type;
  uint32_t index;  /* our receiver index of the keypair */
  uint32_t number; /* of the probe that was answered */
  uint64_t rtt;    /* nanoseconds */
  uint64_t opened; /* records that the peer had opened then, or EVENT_UNTOLD */
};

/* Four probes each of a hundred links. */
#define EVENTS_MAX 512u

struct events {
  pthread_mutex_t lock;
  void (*bell)(void *context);
  void *context;
  bool rung;
  unsigned first;
  unsigned count;
  struct event queue[EVENTS_MAX];
};

void events_open(struct events *events, void (*bell)(void *context), void *context);
void events_close(struct events *events);
/* On any thread. Where the owner is too slow, the event is lost: a probe then counts as unanswered. */
void events_add(struct events *events, struct event event);
/* On the owner's thread: the next one, or false and the bell rings again for the next. */
bool events_take(struct events *events, struct event *event);

#endif

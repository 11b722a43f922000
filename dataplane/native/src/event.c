#include "event.h"

void events_open(struct events *events, void (*bell)(void *context), void *context) {
  pthread_mutex_init(&events->lock, NULL);
  events->bell = bell;
  events->context = context;
  events->rung = false;
  events->first = events->count = 0;
}

void events_close(struct events *events) { pthread_mutex_destroy(&events->lock); }

void events_add(struct events *events, struct event event) {
  pthread_mutex_lock(&events->lock);
  if (events->count < EVENTS_MAX) events->queue[(events->first + events->count++) % EVENTS_MAX] = event;
  bool rings = !events->rung;
  events->rung = true;
  pthread_mutex_unlock(&events->lock);
  if (rings) events->bell(events->context);
}

bool events_take(struct events *events, struct event *event) {
  pthread_mutex_lock(&events->lock);
  bool any = events->count > 0;
  if (any) {
    *event = events->queue[events->first];
    events->first = (events->first + 1) % EVENTS_MAX;
    events->count--;
  } else {
    events->rung = false;
  }
  pthread_mutex_unlock(&events->lock);
  return any;
}

#include "busy_poll.h"

#include <sched.h>
#include <stdint.h>
#include <time.h>

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

int busy_poll_wait(struct busy_poll *state, int (*look)(void *context, int timeout), void *context) {
  int found = state->worthwhile ? look(context, 0) : 0;
  if (found != 0) return found;
  int64_t begun = now();
  if (state->worthwhile) {
    do {
      sched_yield();
      found = look(context, 0);
      if (found != 0) return found;
    } while (now() - begun < BUSY_POLL_WINDOW);
    state->worthwhile = false;
    return look(context, -1);
  }
  found = look(context, -1);
  state->worthwhile = now() - begun < BUSY_POLL_WINDOW;
  return found;
}

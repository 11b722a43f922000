#include "watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "thread.h"

struct watchdog {
  pthread_t thread;
  pthread_mutex_t lock; /* guards stopping */
  pthread_cond_t changed;
  bool stopping;
  unsigned seconds;
  atomic_uint silent; /* seconds since the last beat */
};

static void end(const struct watchdog *watchdog) {
  char line[80];
  int length = snprintf(line, sizeof line, "cryonet-dataplane: hangs for %u s: it ends itself\n", watchdog->seconds);
  if (write(STDERR_FILENO, line, (size_t)length) < 0) {
    /* Nobody reads it: ending matters more. */
  }
  abort();
}

static void *run(void *argument) {
  struct watchdog *watchdog = argument;
  pthread_mutex_lock(&watchdog->lock);
  while (!watchdog->stopping) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    if (pthread_cond_timedwait(&watchdog->changed, &watchdog->lock, &until) != ETIMEDOUT) continue;
    if (atomic_fetch_add(&watchdog->silent, 1) + 1 >= watchdog->seconds) end(watchdog);
  }
  pthread_mutex_unlock(&watchdog->lock);
  return NULL;
}

static void free_watchdog(struct watchdog *watchdog) {
  pthread_cond_destroy(&watchdog->changed);
  pthread_mutex_destroy(&watchdog->lock);
  free(watchdog);
}

struct watchdog *watchdog_start(unsigned seconds) {
  struct watchdog *watchdog = calloc(1, sizeof *watchdog);
  if (watchdog == NULL) return NULL;
  watchdog->seconds = seconds;
  pthread_mutex_init(&watchdog->lock, NULL);
  pthread_condattr_t clock;
  pthread_condattr_init(&clock);
  pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
  pthread_cond_init(&watchdog->changed, &clock);
  pthread_condattr_destroy(&clock);
  int error = thread_start(&watchdog->thread, "cryonet-watch", run, watchdog);
  if (error == 0) return watchdog;
  free_watchdog(watchdog);
  errno = error;
  return NULL;
}

void watchdog_beat(struct watchdog *watchdog) { atomic_store(&watchdog->silent, 0); }

void watchdog_stop(struct watchdog *watchdog) {
  pthread_mutex_lock(&watchdog->lock);
  watchdog->stopping = true;
  pthread_cond_signal(&watchdog->changed);
  pthread_mutex_unlock(&watchdog->lock);
  pthread_join(watchdog->thread, NULL);
  free_watchdog(watchdog);
}

/*
 * The queue of events: no more than it has room for, in order, and a bell that rings for the first after the owner has
 * seen it empty, with threads that add and an owner that takes. Exits 0 when the bell was never missed.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

#include "direct-lab.h"
#include "event.h"

#define THREADS 4u
#define EACH 20000u

static struct events events;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t rang = PTHREAD_COND_INITIALIZER;
static unsigned bells;

static void ring_bell(void *context) {
  expect("context of the bell", context == &events, 1);
  pthread_mutex_lock(&lock);
  bells++;
  pthread_cond_signal(&rang);
  pthread_mutex_unlock(&lock);
}

static void check_bounds(void) {
  struct event event;
  expect("events of an empty queue", events_take(&events, &event), 0);
  for (unsigned round = 0; round < 3; round++) {
    bells = 0;
    for (uint32_t i = 0; i < EVENTS_MAX + 100; i++) {
      events_add(&events, (struct event){.type = EVENT_REPLY, .number = i});
    }
    expect("bells", bells, 1);
    for (uint32_t i = 0; i < EVENTS_MAX; i++) {
      expect("events", events_take(&events, &event), 1);
      expect("number", event.number, i);
      expect("type", event.type, EVENT_REPLY);
    }
    /* Not seen empty so far: what comes now is found without a bell. */
    events_add(&events, (struct event){.type = EVENT_HEARD, .index = round});
    expect("bells", bells, 1);
    expect("events", events_take(&events, &event), 1);
    expect("index", event.index, round);
    expect("events", events_take(&events, &event), 0);
  }
  events_add(&events, (struct event){.type = EVENT_HEARD});
  expect("bells", bells, 2);
  expect("events", events_take(&events, &event), 1);
  expect("events", events_take(&events, &event), 0);
}

/* No more under way than there is room for, so that none is lost. */
static atomic_uint taken[THREADS];

static void *add(void *argument) {
  uint32_t thread = (uint32_t)(size_t)argument;
  for (uint32_t i = 0; i < EACH; i++) {
    while (i - atomic_load(&taken[thread]) >= EVENTS_MAX / THREADS) sched_yield();
    events_add(&events, (struct event){.type = EVENT_REPLY, .index = thread, .number = i});
  }
  return NULL;
}

static void wait_for_bell(void) {
  struct timespec end;
  clock_gettime(CLOCK_REALTIME, &end);
  end.tv_sec += PATIENCE / 1000;
  pthread_mutex_lock(&lock);
  while (bells == 0) {
    if (pthread_cond_timedwait(&rang, &lock, &end) == ETIMEDOUT) fail("bells", 0, 1);
  }
  bells = 0;
  pthread_mutex_unlock(&lock);
}

int main(void) {
  pthread_t threads[THREADS];
  struct event event;
  events_open(&events, ring_bell, &events);
  check_bounds();
  bells = 0;
  for (size_t i = 0; i < THREADS; i++) {
    expect("pthread_create", (uint64_t)pthread_create(&threads[i], NULL, add, (void *)i), 0);
  }
  for (unsigned total = 0; total < THREADS * EACH;) {
    wait_for_bell();
    for (; events_take(&events, &event); total++) {
      expect("number", event.number, taken[event.index]);
      atomic_fetch_add(&taken[event.index], 1);
    }
  }
  for (unsigned i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  expect("events of an empty queue", events_take(&events, &event), 0);
  events_close(&events);
  printf("%u events\n", THREADS * EACH);
  return 0;
}

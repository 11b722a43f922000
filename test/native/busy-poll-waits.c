/*
 * busy_poll.h with sources whose events come when the test says. Prints how it waited for each; a line is a wait,
 * "looked" where it did not have to sleep, "slept" where it did at once, "looked, slept" where looking was in vain.
 *
 * Only a processor that is kept from this process for a whole window can make a wait differ: such a run is repeated,
 * a hundred times at most.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "busy_poll.h"

#define LONG (4L * BUSY_POLL_WINDOW)
#define RUNS 100

struct source {
  unsigned looks; /* that are in vain */
  long sleep;     /* nanoseconds until the event, once asleep */
  unsigned looked;
  bool slept;
};

static int look(void *context, int timeout) {
  struct source *source = context;
  if (timeout == 0) return source->looked++ < source->looks ? 0 : 1;
  if (timeout != -1 || source->slept) abort();
  source->slept = true;
  struct timespec time = {.tv_nsec = source->sleep};
  if (source->sleep > 0) nanosleep(&time, NULL);
  return 2;
}

static void wait_for(char *said, struct busy_poll *state, unsigned looks, long sleep) {
  struct source source = {.looks = looks, .sleep = sleep};
  int found = busy_poll_wait(state, look, &source);
  if (found != (source.slept ? 2 : 1)) abort();
  if (source.looked > 0) strcat(said, source.slept ? "looked, slept\n" : "looked\n");
  else strcat(said, "slept\n");
}

static const char expected[] =
    "slept\n"         /* at rest: nothing is known */
    "slept\n"         /* woken late before */
    "slept\n"         /* the same; woken at once */
    "looked\n"        /* so it pays to look */
    "looked\n"        /* and to look again, a few times */
    "looked, slept\n" /* until that is in vain */
    "slept\n"         /* once is enough, though it was woken at once; and again */
    "looked\n";

static bool run(void) {
  char said[256] = "";
  struct busy_poll state = {0};
  wait_for(said, &state, 0, LONG);
  wait_for(said, &state, 0, LONG);
  wait_for(said, &state, 0, 0);
  wait_for(said, &state, 0, LONG);
  wait_for(said, &state, 3, LONG);
  wait_for(said, &state, -1u, 0);
  wait_for(said, &state, 0, 0);
  wait_for(said, &state, 0, 0);
  return strcmp(said, expected) == 0;
}

int main(void) {
  for (int i = 0; i < RUNS; i++) {
    if (run()) {
      puts("as expected");
      return 0;
    }
  }
  puts("otherwise");
  return 1;
}

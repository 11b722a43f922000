#include "thread.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

int thread_start(pthread_t *thread, const char *name, void *(*run)(void *argument), void *argument) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(thread, NULL, run, argument);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error == 0) pthread_setname_np(*thread, name);
  return error;
}

void thread_wake(int event) {
  uint64_t one = 1;
  while (write(event, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

/* Threads of the addon: they take no signals, which belong to Node's main thread. */
#ifndef CRYONET_THREAD_H
#define CRYONET_THREAD_H

#include <pthread.h>

/* 0 or errno. `name` has at most 15 bytes; tools such as top show it. */
int thread_start(pthread_t *thread, const char *name, void *(*run)(void *argument), void *argument);

/* Adds to an eventfd that a thread waits for. */
void thread_wake(int event);

#endif

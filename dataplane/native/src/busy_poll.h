/*
 * How a thread waits for packets. Between two packets of a fast flow it is dearer to fall asleep, and to be woken by
 * another processor, than to look again for a while: busy polling, as the kernel's own (net.core.busy_poll), but only
 * where it pays. A thread that was woken within BUSY_POLL_WINDOW looks again for so long before it sleeps the next time;
 * once that was in vain it sleeps at once, until it is woken as soon as that again. So a link at rest, or slow, costs
 * nothing, and a packet every 50 µs makes nobody spin. Whoever else wants the processor gets it.
 */
#ifndef CRYONET_BUSY_POLL_H
#define CRYONET_BUSY_POLL_H

#include <stdbool.h>

/* Nanoseconds. */
#define BUSY_POLL_WINDOW 20000

/* One for each thread. Zeroed memory is a new one. */
struct busy_poll {
  bool worthwhile;
};

/* Calls `look` until it returns anything but 0, which is returned: with a timeout of 0 for as long as that is worthwhile,
 * then with -1 (poll(2)). */
int busy_poll_wait(struct busy_poll *state, int (*look)(void *context, int timeout), void *context);

#endif

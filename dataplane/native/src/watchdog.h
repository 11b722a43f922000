/* Ends a process whose JavaScript thread hangs in native code, where no timer of its own can notice: whoever started
 * it starts it again. Time is counted in the watchdog's own wake-ups, so that a process that was stopped, or a machine
 * that slept, has not hung. */
#ifndef CRYONET_WATCHDOG_H
#define CRYONET_WATCHDOG_H

struct watchdog;

/* Starts the thread, which calls abort(3) after one line on standard error once `seconds` pass without a beat. NULL
 * with errno set on failure. */
struct watchdog *watchdog_start(unsigned seconds);
void watchdog_beat(struct watchdog *watchdog);
/* Joins the thread and frees. */
void watchdog_stop(struct watchdog *watchdog);

#endif

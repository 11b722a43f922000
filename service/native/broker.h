/*
 * What control asks of its broker, over a socket pair of type SOCK_SEQPACKET, which keeps messages apart. A request is
 * words with a NUL behind each. The broker answers every request with a `broker_reply`, and passes the descriptor of what
 * it has opened (SCM_RIGHTS).
 *
 *   plan MARK PORT COUNT WORD… VARIABLE…   comes first, and once: it says what the others may have. The command of the
 *                                          dataplane is COUNT words, and the variables are its whole environment
 *   start                                  starts the dataplane: its process ID, and a pipe on which it says how that went
 *   socket FAMILY                          opens a TCP socket with the plan's mark; FAMILY is 4 or 6
 *   listen ADDRESS                         opens a TCP socket bound to the plan's port at that numeric address
 */
#ifndef CRYONET_BROKER_H
#define CRYONET_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  /* Bytes. A command and the few variables of a dataplane are far less. */
  broker_longest_request = 65536,
};

struct broker_reply {
  /* 0, or the errno of what failed: EPERM before the plan, for a second one and for what it does not have. */
  int32_t error;
  /* Process ID of what was started, or 0. */
  int32_t pid;
};

/* Sends a request and waits for its answer, ten seconds at most. `*descriptor` is -1 where none came. False: errno says
 * why. */
bool broker_ask(int channel, const void *request, size_t length, int32_t *pid, int *descriptor);

#endif

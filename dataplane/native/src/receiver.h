/*
 * A receiver: a thread that takes records from one socket, opens them, joins what belongs together (coalesce.h) and
 * writes it to the TUN devices. One receives all records of a session (outer.h).
 */
#ifndef CRYONET_RECEIVER_H
#define CRYONET_RECEIVER_H

#include "session.h"

struct receiver;

/* Starts the thread on one of direct->outer's sockets. NULL with errno set on failure. */
struct receiver *receiver_start(struct direct *direct, int socket);
/* Stops and joins the thread. */
void receiver_stop(struct receiver *receiver);

#endif

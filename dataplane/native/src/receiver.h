/*
 * A receiver: a thread that takes records from one socket, opens them, joins what belongs together (coalesce.h) and
 * writes it to the TUN devices. One receives all records of a keypair (outer.h).
 */
#ifndef CRYONET_RECEIVER_H
#define CRYONET_RECEIVER_H

#include "keypair.h"

struct receiver;

/* Starts the thread on direct->outer's socket of that number. NULL with errno set on failure. */
struct receiver *receiver_start(struct direct *direct, unsigned number);
/* Stops and joins the thread. */
void receiver_stop(struct receiver *receiver);

#endif

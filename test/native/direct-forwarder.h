/*
 * What stands between two nodes and gives one of them another address now and then, as a NAT does:
 *
 *   node a ──▶ inner │ forwarder │ outer, the newest ──▶ node b
 *
 * No datagram overtakes another, also while it changes.
 */
#ifndef CRYONET_DIRECT_FORWARDER_H
#define CRYONET_DIRECT_FORWARDER_H

#include "direct-lab.h"

struct forwarder;

struct forwarder *forwarder_start(const struct node *a, const struct node *b);
void forwarder_stop(struct forwarder *forwarder);
/* Where `a` sends to. */
uint16_t forwarder_inner(const struct forwarder *forwarder);
/* Where datagrams come to `b` from. */
uint16_t forwarder_outer(struct forwarder *forwarder);
/* Another port for that, at once; not before `b` sends to the last one. */
void forwarder_rebind(struct forwarder *forwarder);

#endif

/*
 * Packets are sealed on their way out. By UDP, records of one length follow each other in one buffer, which goes to the
 * kernel in one call and leaves it in pieces (UDP_SEGMENT); a shorter one ends it. What does not go by UDP is sealed into
 * the device's ring, from which a datachannel takes it. One sender for one reader thread.
 */
#ifndef CRYONET_SENDER_H
#define CRYONET_SENDER_H

#include "keypair.h"

struct sender;

/* Sends by one of direct->outer's sockets. NULL without memory. */
struct sender *sender_new(struct direct *direct, unsigned socket);
void sender_free(struct sender *sender);

/* The outlet of a keypair. */
bool sender_send(struct outlet *outlet, const uint8_t *pi, struct segment_cut *cut);
bool sender_waits(struct outlet *outlet);
uint32_t sender_seal(struct outlet *outlet, uint8_t *slot, const uint8_t *pi, struct segment_cut *cut);
void sender_dropped(struct outlet *outlet, unsigned packets);
void sender_flush(struct outlet *outlet);

/* The outlet of a link without a keypair: it drops all packets. */
void sender_close(struct link *link);

#endif

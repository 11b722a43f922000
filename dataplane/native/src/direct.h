/*
 * Direct paths: packets of a TUN device as records over UDP, without JavaScript. The owner's functions; every one of
 * them runs on the owner's thread.
 *
 *   TUN ──▶ reader thread (poller.h) ──▶ sender.h ──▶ UDP
 *   TUN ◀── receiver.h ◀── UDP
 *
 * Teardown order: the link's outlet off, its sessions out of the table, the link freed, its device closed; when no link
 * is left, direct_close stops the receivers and then closes the sockets. Closing again is the caller's fault.
 */
#ifndef CRYONET_DIRECT_H
#define CRYONET_DIRECT_H

#include "session.h"

/* Opens sockets on ICE's port, sends with this DSCP (or DSCP_COPY), starts `workers` receivers, and sends for as many reader threads. `bell` rings on any
 * thread when there are events. NULL with errno set and `step` naming what the kernel refused. */
struct direct *direct_open(uint16_t port, unsigned workers, uint32_t mark, unsigned dscp,
                           void (*bell)(void *context), void *context, const char **step);
/* No link may be left. */
void direct_close(struct direct *direct);

/* The direct side of a device, without sessions. `reader` numbers the thread that reads the device. NULL without
 * memory. */
struct link *link_new(struct direct *direct, struct device *device, unsigned reader, bool pi, bool udp);
/* Removes its sessions as well. */
void link_free(struct link *link);
void link_set_endpoint(struct link *link, const struct endpoint *endpoint);
/* Bytes of the longest packet, with struct tun_pi, that goes by this path. */
void link_set_limit(struct link *link, uint32_t bytes);
/* Packets for the device may be joined again, whatever it has refused. */
void link_join(struct link *link);
/* Whether records leave together and are cut on their way (UDP_SEGMENT), as they do at first, or each by a call of its own. */
void link_set_segmentation(struct link *link, bool on);
/* Packets go by this session from now on; NULL: into the ring. */
void link_use(struct link *link, struct session *session);

/* Records to `index` are opened from now on. `ecn`: the peer brings marks in, too. NULL where the index is taken, or without memory. The keys are copied. */
struct session *session_add(struct link *link, uint32_t index, uint32_t peer_index, enum record_cipher cipher,
                            const uint8_t seal[RECORD_KEY], const uint8_t open[RECORD_KEY], bool ecn);
/* It must not be in use (link_use). Wipes its keys. */
void session_remove(struct session *session);

#endif

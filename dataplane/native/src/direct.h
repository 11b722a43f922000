/*
 * Links: packets of a TUN device as records, by UDP without JavaScript, or as messages of a datachannel that JavaScript
 * sends and takes as they are. The owner's functions; every one of them runs on the owner's thread.
 *
 *   TUN ──▶ reader thread (poller.h) ──▶ sender.h ──▶ UDP
 *                                            └──▶ ring (ring.h) ──▶ owner ──▶ datachannel
 *   TUN ◀── intake.h ◀── receiver.h ◀── UDP
 *               ▲──── link_open ◀── owner ◀── datachannel
 *
 * Teardown order: the link's outlet off, its keypairs out of the table, the link freed, its device closed; when no link
 * is left, direct_close stops the receivers and then closes the sockets. Closing again is the caller's fault.
 */
#ifndef CRYONET_DIRECT_H
#define CRYONET_DIRECT_H

#include "keypair.h"

/* Without sockets: all records go to datachannels. `bell` rings on any thread when there are events. NULL with errno set. */
struct direct *direct_open(void (*bell)(void *context), void *context);
/* No link may be left. */
void direct_close(struct direct *direct);
/* Opens sockets on ICE's port, which is direct->port, sends with this DSCP (or DSCP_COPY) and starts `receivers`; there may be
 * as many reader threads, and no link yet. 0, or errno with `step` naming what the kernel refused. */
int direct_listen(struct direct *direct, unsigned receivers, uint32_t mark, unsigned dscp, const char **step);
/* Gives ICE its port back. No link may send by UDP (link_carry). Idempotent. */
void direct_unlisten(struct direct *direct);

/* The link of a device, without keypairs: its packets are dropped. `reader` numbers the thread that reads the device. NULL without
 * memory. */
struct link *link_new(struct direct *direct, struct device *device, unsigned reader, bool pi, bool udp);
/* Removes its keypairs as well. */
void link_free(struct link *link);
void link_set_endpoint(struct link *link, const struct endpoint *endpoint);
/* Bytes of the longest packet, with struct tun_pi, that goes by this path. */
void link_set_limit(struct link *link, uint32_t bytes);
/* Packets for the device may be joined again, whatever it has refused. */
void link_join(struct link *link);
/* Whether records leave together and are cut on their way (UDP_SEGMENT), as they do at first, or each by a call of its own. */
void link_set_segmentation(struct link *link, bool on);
/* This keypair seals packets from now on; NULL: they are dropped. */
void link_use(struct link *link, struct keypair *keypair);
/* Whether records go by UDP, where they fit the path; all others go into the ring. At first they do not. */
void link_carry(struct link *link, bool by_udp);
/* Takes a record that came by a datachannel; its memory must stay as it is until link_opened, which writes what was taken. */
void link_open(struct link *link, uint8_t *record, size_t length);
void link_opened(struct link *link);

/* Records to `index` are opened from now on. `ecn`: the peer brings marks in, too. NULL where the index is taken, or without memory. The keys are copied. */
struct keypair *keypair_add(struct link *link, uint32_t index, uint32_t peer_index, enum record_cipher cipher,
                            const uint8_t seal[RECORD_KEY], const uint8_t open[RECORD_KEY], bool ecn);
/* It must not be in use (link_use). Wipes its keys. */
void keypair_remove(struct keypair *keypair);

#endif

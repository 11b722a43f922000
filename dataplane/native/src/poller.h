/*
 * A reader thread: one for any number of devices, asleep in epoll while there is nothing to read. What it reads it
 * hands to the device's outlet; what that does not take is cut into packets (segment.h), which the outlet seals into the
 * device's ring one by one, and a bell rings; the owner empties the rings.
 *
 *   kernel queue ──read──▶ outlet
 *                            └──▶ ring ──device_peek/device_release──▶ owner
 *                                  │                         ▲
 *                                  └── bell, once, until poller_rest   (as Linux's NAPI: wake, then poll until dry)
 *
 * A device without an outlet, or which is paused, is not read: the kernel's queue fills and then drops. Nor is one whose
 * ring is full and whose outlet waits for it. So the memory is bounded, and a device that nobody empties costs the others
 * nothing. Each turn reads a bounded burst from each ready device in epoll's own rotation.
 *
 * Nothing here knows of Node. The owner is one thread; every function but the bell runs on it.
 * Teardown order: poller_remove for each device, its descriptor closed, then poller_stop (joins, frees).
 */
#ifndef CRYONET_POLLER_H
#define CRYONET_POLLER_H

#include <stdbool.h>
#include <stdint.h>

#include "segment.h"

struct poller;
struct device;

/* struct tun_pi of linux/if_tun.h, in front of every packet of a device with packet information. */
#define POLLER_PI 4u

/* What becomes of a device's packets. The functions run on the thread, between taking an outlet and device_set_outlet's next
 * return; those behind `waits` may be NULL where `send` takes everything. */
struct outlet {
  /* `pi` is NULL for devices without packet information; else there is room for it before each piece, where it may be
   * copied. False: each piece is to be sealed into the ring. */
  bool (*send)(struct outlet *outlet, const uint8_t *pi, struct segment_cut *cut);
  /* Whether packets are left in the kernel's queue while the ring is full. */
  bool (*waits)(struct outlet *outlet);
  /* Bytes that `seal` adds to a piece. */
  uint32_t adds;
  /* Writes the next piece into the ring's memory; its bytes there, or 0 where that fails. */
  uint32_t (*seal)(struct outlet *outlet, uint8_t *slot, const uint8_t *pi, struct segment_cut *cut);
  /* So many packets were put into the ring, and found no room there. */
  void (*dropped)(struct outlet *outlet, unsigned packets);
  /* Nothing more to read for now. */
  void (*flush)(struct outlet *outlet);
};

/* Starts the thread. `bell` is called on it. NULL with errno set on failure. */
struct poller *poller_start(void (*bell)(void *context), void *context);
/* Stops and joins the thread. No device may be left. */
void poller_stop(struct poller *poller);
/* Lets the bell ring again. False where a device that is not paused still has packets: poll on, no bell comes. */
bool poller_rest(struct poller *poller);

/* Borrows the non-blocking descriptor `fd`, each read of which yields struct tun_pi where `pi` says so, struct
 * virtio_net_hdr and one packet. The device is paused and its limit 0. NULL with errno set on failure. */
struct device *poller_add(struct poller *poller, int fd, bool pi);
/* Gives the descriptor back, which the thread does not touch any more. The device must not be used again. */
int poller_remove(struct poller *poller, struct device *device);

int device_fd(const struct device *device);
/* NULL for none: the device is not read. When it returns, the thread has flushed the outlet before, and does not use it any
 * more. */
void device_set_outlet(struct device *device, struct outlet *outlet);
/* Packets of up to `bytes`, with packet information, enter the ring from now on, where fewer were; a longer one is
 * dropped, never cut short. */
void device_raise_limit(struct device *device, uint32_t bytes);
void device_pause(struct device *device);
/* 0, or the errno with which epoll refused the descriptor. */
int device_resume(struct device *device);
/* The longest run of at most `packets` records (ring.h) that lie together; returns its bytes, 0 for none. */
uint32_t device_peek(struct device *device, uint32_t packets, const uint8_t **bytes);
/* Gives back what device_peek showed, and starts reading again where a full ring had stopped it. */
void device_release(struct device *device, uint32_t bytes);

#endif

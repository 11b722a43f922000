/*
 * A reader thread: one for any number of devices, asleep in epoll while there is nothing to read. What it reads it
 * hands to the device's outlet; what that does not take, or where there is none, it cuts into packets (segment.h), puts
 * them into the device's ring and rings a bell; the owner empties the rings.
 *
 *   kernel queue ──read──▶ outlet
 *                   └────▶ ring ──device_peek/device_release──▶ owner
 *                           │                         ▲
 *                           └── bell, once, until poller_rest   (as Linux's NAPI: wake, then poll until dry)
 *
 * A device whose ring is full, or which is paused, is not read: the kernel's queue fills and then drops. So the
 * memory is bounded, and a device that nobody empties costs the others nothing. Each turn reads a bounded burst
 * from each ready device in epoll's own rotation. A device with an outlet is read whether its ring is full or not.
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

/* Another way for a device's packets than its ring. The functions run on the thread, between taking an outlet and
 * device_set_outlet's next return. */
struct outlet {
  /* `pi` is NULL for devices without packet information; else there is room for it before each piece, where it may be
   * copied. False: put it into the ring, `cut` is as it was. */
  bool (*send)(struct outlet *outlet, const uint8_t *pi, struct segment_cut *cut);
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
/* NULL for none. When it returns, the thread has flushed the outlet before, and does not use it any more. */
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

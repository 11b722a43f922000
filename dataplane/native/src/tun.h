/* TUN device descriptors: linux/if_tun.h. */
#ifndef CRYONET_TUN_H
#define CRYONET_TUN_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether devices can be made by the node at `path` (/dev/net/tun, or another of its numbers), asked without making one:
 * of a request that names no kind of device the kernel checks the permission first, and then refuses the rest. 0; or
 * errno, and `step` names what failed. */
int tun_try(const char *path, const char **step);
/* Makes the device `name` ("" lets the kernel choose) by the node at `path`, down and without carrier, refusing one that
 * exists (EBUSY). Every packet has struct virtio_net_hdr in front, after struct tun_pi. The kernel may hand over and take TCP in
 * super-packets, and UDP where `udp` comes back true (6.2 and later). Returns a non-blocking descriptor and fills
 * `chosen`; or -1 with errno set and `step` naming what failed. */
int tun_open(const char *path, const char *name, bool packet_information, char chosen[IFNAMSIZ], bool *udp,
             const char **step);
/* The devices whose closing the kernel has not finished. */
struct closing;

/* Removes the device. Returns when its name is free, in less than a millisecond; the kernel then keeps close(2) for
 * an RCU barrier, tens of milliseconds, which a thread of its own waits for. */
void tun_close(struct closing **list, int fd, unsigned ifindex);
/* Joins those threads that are done, or waits for all. */
void tun_join(struct closing **list, bool all);

/* 0 or errno. */
int tun_set_carrier(int fd, bool up);

#endif

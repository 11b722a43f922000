/*
 * Flows of numbered packets, whose bytes follow from their numbers: TCP or UDP over IPv4, handed over as the kernel
 * does, many at once (linux/virtio_net.h), and checked when they arrive, whole, joined, or one by one.
 */
#ifndef CRYONET_DIRECT_FLOW_H
#define CRYONET_DIRECT_FLOW_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the longest that flow_write makes: struct tun_pi, struct virtio_net_hdr, packet. */
#define FLOW_ROOM (4u + sizeof(struct virtio_net_hdr) + 65535u)

struct flow {
  uint16_t port; /* its source port, by which it is recognized */
  bool tcp;
  uint8_t octet; /* TOS */
  uint32_t source; /* its address; 0: 10.0.0.1 */
  uint32_t next; /* number of the next packet to write */
  uint32_t bytes; /* of TCP payload written */
};

/* Bytes of IP and transport header. */
uint32_t flow_header(bool tcp);
/* Writes `packets` packets with `payload` bytes each, the last with `last`, as a read of a device yields them. At least
 * 4 bytes each. Returns the bytes. */
size_t flow_write(struct flow *flow, uint8_t *out, bool pi, uint32_t packets, uint32_t payload, uint32_t last);

/* Calls `take` for each packet in what was written to a device (with struct virtio_net_hdr), or lay in its ring
 * (without), after checking its bytes. */
void flow_read(const uint8_t *bytes, size_t length, bool pi, bool header,
               void (*take)(void *context, uint16_t port, uint32_t number), void *context);

#endif

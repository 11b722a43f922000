/*
 * Packets on their way from the reader thread to JavaScript: one ring per device, one producer, one consumer,
 * no lock, no allocation per packet. A record is
 *
 *   | length u32, host order | packet | padding to 4 bytes |
 *
 * and never wraps: where the rest of the ring is too short a length of RING_SKIP sends the consumer to the start.
 * JavaScript gets a run of records as it lies here and cuts it itself, so a batch costs one copy and one call.
 */
#ifndef CRYONET_RING_H
#define CRYONET_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* 1 ms of 2 Gbit/s, and room for three packets of the largest MTU. A power of two: positions only grow. */
#define RING_BYTES (256u * 1024u)
#define RING_HEADER 4u
#define RING_SKIP UINT32_MAX

struct ring {
  uint8_t *bytes;
  uint32_t reserved; /* producer's own: where the record being filled starts */
  _Alignas(64) _Atomic uint32_t tail;
  _Alignas(64) _Atomic uint32_t head;
};

bool ring_open(struct ring *ring);
void ring_close(struct ring *ring);

/* Producer: memory for a packet of at most `room` bytes, or NULL while the ring is full. */
uint8_t *ring_reserve(struct ring *ring, uint32_t room);
/* Producer: hands the packet in the memory last reserved to the consumer. */
void ring_commit(struct ring *ring, uint32_t length);

/* Either side: would ring_reserve succeed? */
bool ring_fits(struct ring *ring, uint32_t room);
bool ring_empty(struct ring *ring);

/* Consumer: the longest run of at most `packets` whole records; returns its bytes, 0 when there is none. */
uint32_t ring_run(struct ring *ring, uint32_t packets, const uint8_t **bytes);
/* Consumer: gives back what ring_run showed. */
void ring_release(struct ring *ring, uint32_t bytes);

#endif

#include "ring.h"

#include <stdlib.h>
#include <string.h>

static uint32_t record_bytes(uint32_t length) { return RING_HEADER + ((length + 3u) & ~3u); }

static uint32_t length_at(const struct ring *ring, uint32_t at) {
  uint32_t length;
  memcpy(&length, ring->bytes + at, sizeof length);
  return length;
}

static void set_length_at(struct ring *ring, uint32_t at, uint32_t length) {
  memcpy(ring->bytes + at, &length, sizeof length);
}

/* Bytes to leave unused before a record of `need` bytes, or RING_SKIP where it does not fit. A ring that has run
 * empty starts over in its second half, so that a quiet device touches little but the first. The rest counts as used
 * until the consumer has passed it; what is left beside it is room for all that one read may yield. */
static uint32_t gap_before(uint32_t need, uint32_t tail, uint32_t used) {
  uint32_t at = tail % RING_BYTES;
  uint32_t rest = RING_BYTES - at;
  uint32_t gap = rest < need || (used == 0 && at >= RING_BYTES / 2 + need) ? rest : 0;
  return RING_BYTES - used < gap + need ? RING_SKIP : gap;
}

bool ring_open(struct ring *ring) {
  ring->bytes = malloc(RING_BYTES);
  ring->reserved = 0;
  atomic_init(&ring->tail, 0);
  atomic_init(&ring->head, 0);
  return ring->bytes != NULL;
}

void ring_close(struct ring *ring) {
  free(ring->bytes);
  ring->bytes = NULL;
}

uint8_t *ring_reserve(struct ring *ring, uint32_t room) {
  uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
  uint32_t gap = gap_before(record_bytes(room), tail, tail - atomic_load(&ring->head));
  if (gap == RING_SKIP) return NULL;
  if (gap > 0) set_length_at(ring, tail % RING_BYTES, RING_SKIP);
  ring->reserved = tail + gap;
  return ring->bytes + ring->reserved % RING_BYTES + RING_HEADER;
}

void ring_commit(struct ring *ring, uint32_t length) {
  set_length_at(ring, ring->reserved % RING_BYTES, length);
  atomic_store_explicit(&ring->tail, ring->reserved + record_bytes(length), memory_order_release);
}

bool ring_fits(struct ring *ring, uint32_t room) {
  uint32_t tail = atomic_load(&ring->tail);
  return gap_before(record_bytes(room), tail, tail - atomic_load(&ring->head)) != RING_SKIP;
}

bool ring_empty(struct ring *ring) { return atomic_load(&ring->tail) == atomic_load(&ring->head); }

uint32_t ring_run(struct ring *ring, uint32_t packets, const uint8_t **bytes) {
  uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
  uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
  if (head == tail) return 0;
  if (length_at(ring, head % RING_BYTES) == RING_SKIP) {
    head += RING_BYTES - head % RING_BYTES;
    atomic_store(&ring->head, head);
  }
  uint32_t start = head % RING_BYTES;
  uint32_t end = start;
  for (uint32_t i = 0; i < packets && end < RING_BYTES && head + (end - start) != tail; i++) {
    uint32_t length = length_at(ring, end);
    if (length == RING_SKIP) break;
    end += record_bytes(length);
  }
  *bytes = ring->bytes + start;
  return end - start;
}

void ring_release(struct ring *ring, uint32_t bytes) {
  atomic_store(&ring->head, atomic_load_explicit(&ring->head, memory_order_relaxed) + bytes);
}

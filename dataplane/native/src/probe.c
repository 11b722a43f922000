#include "probe.h"

#include <endian.h>
#include <string.h>
#include <time.h>

#include "roaming.h"

static uint64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

_Static_assert(PROBE_LENGTH == QUESTION_LENGTH, "what an answer brings back");

bool probe_send(struct keypair *keypair, uint32_t number, uint32_t size) {
  uint8_t record[RECORD_OVERHEAD + SEGMENT_MAX];
  struct ends ends = link_ends(keypair->link);
  uint32_t overhead = endpoint_overhead(&ends.far) + RECORD_OVERHEAD;
  uint32_t length = size < overhead + PROBE_LENGTH ? PROBE_LENGTH : size - overhead;
  if (length > SEGMENT_MAX - overhead) length = SEGMENT_MAX - overhead;
  memset(record + RECORD_HEADER + PROBE_LENGTH, 0, length - PROBE_LENGTH);
  uint32_t wire_number = htobe32(number);
  uint64_t time = htobe64(nanoseconds());
  memcpy(record + RECORD_HEADER, &wire_number, sizeof wire_number);
  memcpy(record + RECORD_HEADER + sizeof wire_number, &time, sizeof time);
  return keypair_send(keypair, RECORD_PROBE, record, length, &ends);
}

bool probe_take(struct keypair *keypair, uint8_t kind, const uint8_t *content, size_t length,
                const struct ends *ends) {
  if (length < PROBE_LENGTH) return false;
  if (kind == RECORD_PROBE) {
    uint8_t record[RECORD_OVERHEAD + REPLY_LENGTH];
    uint64_t opened = htobe64(atomic_load(&keypair->link->counters[COUNTER_RX_RECORDS]));
    memcpy(record + RECORD_HEADER, content, PROBE_LENGTH);
    memcpy(record + RECORD_HEADER + PROBE_LENGTH, &opened, sizeof opened);
    keypair_send(keypair, RECORD_REPLY, record, REPLY_LENGTH, ends);
    return true;
  }
  if (roaming_answered(keypair, content)) return true;
  uint32_t number;
  uint64_t sent;
  memcpy(&number, content, sizeof number);
  memcpy(&sent, content + sizeof number, sizeof sent);
  uint64_t now = nanoseconds();
  sent = be64toh(sent);
  if (sent > now) return false;
  uint64_t opened = EVENT_UNTOLD;
  if (length >= REPLY_LENGTH) {
    memcpy(&opened, content + PROBE_LENGTH, sizeof opened);
    opened = be64toh(opened);
  }
  struct event event = {.type = EVENT_REPLY,
                        .index = keypair->index,
                        .number = be32toh(number),
                        .rtt = now - sent,
                        .opened = opened};
  events_add(&keypair->link->direct->events, event);
  return true;
}

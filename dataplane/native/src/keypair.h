/*
 * Links and their keypairs. A link is one TUN device's; a keypair is one pair of keys under one receiver index. A link that
 * renews its keys has two keypairs for a while: records of either are opened, and one of them seals. Records go by UDP, or
 * through the device's ring to a datachannel (`by_udp`); those of either lane come in at any time.
 *
 *   struct direct   rwlock `lock`: held for reading by a receiver for a batch, for writing by the owner to add and
 *                   remove keypairs; so whatever a receiver has found in the table stays until it lets go
 *   struct link     `endpoint`, our end and what is known of both, under its own mutex
 *   struct keypair  `counters` are shared by all that seal; `seal` is the reader thread's, `reply` under its mutex.
 *                   `open` and `replay` of RECORD_UDP are the one receiver's that this receiver index leads to (outer.h),
 *                   those of RECORD_DATA the owner's
 */
#ifndef CRYONET_KEYPAIR_H
#define CRYONET_KEYPAIR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ancillary.h"
#include "event.h"
#include "outer.h"
#include "own.h"
#include "poller.h"
#include "record.h"

/* Places in a link's counters. dataplane/io/native-direct.ts has the same list. */
enum link_counter {
  COUNTER_TX_PACKETS,
  COUNTER_TX_BYTES,
  COUNTER_RX_PACKETS,
  COUNTER_RX_BYTES,
  COUNTER_TX_RECORDS, /* by UDP, probes included */
  COUNTER_RX_RECORDS,
  COUNTER_TX_REFUSED,   /* packets: the kernel's queue was full, or it had no way */
  COUNTER_TX_TOO_LONG,  /* packets: longer than the outgoing interface takes */
  COUNTER_TX_ASIDE,     /* super-packets that do not fit the path and went to the ring */
  COUNTER_TX_OVERFLOW,  /* packets for the ring, which was full */
  COUNTER_RX_REFUSED,   /* packets that the TUN device did not take */
  COUNTER_RX_FORGED,    /* records that did not open */
  COUNTER_RX_REPLAYED,  /* records */
  COUNTER_RX_MALFORMED, /* records that opened and make no sense */
  COUNTER_RX_CONGESTED, /* packets marked by a router on the way that cannot say so inside (ecn.h) */
  COUNTER_RX_OVERFLOW,  /* records, as joined by the kernel, before one of this link for which there was no room */
  COUNTER_TX_WRITES,    /* system calls */
  COUNTER_RX_WRITES,
  COUNTER_RX_UNJOINED, /* super-packets that the TUN device refused for what they are: their packets went one by one */
  COUNTER_TX_SEGMENTED, /* records that left in one call with others */
  COUNTER_RX_CONFIGURING, /* packets that would configure this node (admission.h) */
  COUNTER_RX_PROTOCOL,    /* packets of a protocol that links do not carry */
  COUNTER_TX_DATA,        /* of TX_PACKETS: those sealed for a datachannel */
  COUNTER_RX_DATA,        /* of RX_PACKETS: those that came by a datachannel */
  COUNTER_TX_KEYLESS,     /* packets: there was no keypair to seal them */
  COUNTER_TX_LOOPED,      /* packets of our own tunnels */
  LINK_COUNTERS,
};

/* Of all links: records that belong to no keypair, or not to the link that they came for; and what is no record here. */
enum direct_counter { COUNTER_UNKNOWN, COUNTER_NO_RECORD, DIRECT_COUNTERS };

#define KEYPAIR_BUCKETS 1024u

/* One more than the greatest. */
#define DSCP_COPY 64u

/* Bytes of a probe that its answer brings back, none of which can be guessed. */
#define QUESTION_LENGTH 12u
/* Addresses of a peer that are asked at a time. */
#define QUESTIONS 4u

/* Whether the peer is at an address (roaming.h). */
struct question {
  bool open; /* not answered yet */
  struct ends ends;
  uint8_t content[QUESTION_LENGTH];
  uint64_t since; /* milliseconds: asked first, and last */
  uint64_t at;
};

struct keypair;

struct direct {
  struct outer outer; /* no sockets: `count` is 0 */
  uint16_t port;      /* our tunnels' */
  unsigned dscp; /* of records; DSCP_COPY: that of the packet */
  struct own *own;
  struct receiver *receivers[OUTER_MAX];
  struct sender *senders[OUTER_MAX]; /* one for each reader thread that has a link */
  struct intake *intake; /* of what comes by datachannels: the owner's */
  pthread_rwlock_t lock;
  struct keypair *table[KEYPAIR_BUCKETS];
  struct events events;
  _Atomic uint64_t counters[DIRECT_COUNTERS];
};

struct link {
  struct outlet closed; /* while no keypair seals */
  struct outlet *used;
  struct direct *direct;
  struct device *device;
  struct sender *sender; /* its reader thread's */
  int tun;
  bool pi;
  bool udp; /* the device says that it takes super-packets of UDP */
  _Atomic bool joins_tcp; /* until it refuses one */
  _Atomic bool joins_udp;
  atomic_bool by_udp; /* records go by UDP, where they fit */
  uint8_t flags; /* of the packet that goes into the ring: the reader thread's */
  _Atomic uint32_t limit; /* bytes of the longest packet that fits the path, struct tun_pi included */
  pthread_mutex_t lock;
  struct endpoint endpoint;
  struct own_address own; /* where its records come to, and so where ours leave from */
  uint64_t own_since;     /* milliseconds */
  bool followed; /* a record came from there */
  struct question questions[QUESTIONS];
  bool uncut;    /* the interface on the way there cannot cut: one call for each record */
  atomic_bool singly; /* the same, by the owner's will */
  _Atomic uint64_t counters[LINK_COUNTERS];
};

struct keypair {
  struct outlet outlet;
  struct keypair *next; /* in its bucket */
  struct link *link;
  uint32_t index;
  uint32_t peer_index;
  bool ecn; /* the peer brings marks in: packets show theirs outside */
  _Atomic uint64_t counters[RECORD_LANES];
  struct record_key *seal;
  pthread_mutex_t lock;
  struct record_key *reply;
  struct record_key *open[RECORD_LANES];
  struct replay replay[RECORD_LANES];
  atomic_bool heard;
};

/* The next counter of a lane. */
static inline uint64_t keypair_counter(struct keypair *keypair, enum record_lane lane) {
  return atomic_fetch_add_explicit(&keypair->counters[lane], 1, memory_order_relaxed);
}

static inline void count(_Atomic uint64_t *counters, unsigned which, uint64_t more) {
  atomic_fetch_add_explicit(&counters[which], more, memory_order_relaxed);
}

/* Under direct->lock. NULL where there is none. */
struct keypair *keypair_find(struct direct *direct, uint32_t index);
/* Seals and sends by UDP one record that is no packet. False where the kernel refuses it for its length. */
bool keypair_send(struct keypair *keypair, enum record_kind kind, uint8_t *record, size_t length,
                  const struct ends *ends);

/* Seals a packet of no bytes for a datachannel, RECORD_OVERHEAD bytes: it shows the peer that we have the keys. */
bool keypair_sign(struct keypair *keypair, uint8_t *record);

/* Both ends as they are now. */
struct ends link_ends(struct link *link);
/* Sends sealed records of `segment` bytes each but the last; 0: one. `octet`: TOS or traffic class. Where this machine has
 * the address of ours no more, or no way from there, the link forgets it and the kernel chooses one. 0 or errno. */
int link_send(struct link *link, unsigned socket, const struct ends *ends, const uint8_t *records, size_t length,
              uint32_t segment, uint8_t octet);

#endif

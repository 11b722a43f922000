/*
 * Records: a packet on its way to the peer, whatever carries it. One record is one UDP datagram, or one message of a
 * datachannel:
 *
 *    0        1        2        3        4                 8                        16
 *   ┌────────┬────────┬────────┬────────┬─────────────────┬────────────────────────┬────────────┬──────────┐
 *   │ 0xc0   │ kind   │ lane   │ flags  │ index (u32)     │ counter (u64)          │ ciphertext │ tag (16) │
 *   └────────┴────────┴────────┴────────┴─────────────────┴────────────────────────┴────────────┴──────────┘
 *
 * Kinds 3 to 5 are those of dataplane/io/channel-records.ts, which come by datachannels alone and are not opened here.
 *
 * All numbers are big-endian. The first byte is none that STUN, DTLS, TURN or RTP begin with (RFC 7983). The whole
 * header is authenticated. The nonce is three zero bytes, the lane and the counter, under a key for one direction of one
 * keypair. The lane says what carries the record. Each lane of a keypair has a counter and a replay window of its own: a
 * datachannel is late by more records than a window of the faster lane has.
 *
 * Nothing here knows of Node or of sockets; OpenSSL comes from the process.
 */
#ifndef CRYONET_RECORD_H
#define CRYONET_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_TYPE 0xc0u
#define RECORD_HEADER 16u
#define RECORD_TAG 16u
#define RECORD_OVERHEAD (RECORD_HEADER + RECORD_TAG)
#define RECORD_KEY 32u

/* The only flag, of packets alone: a whole TCP or UDP packet whose checksum field holds the sum over the pseudo-header
 * alone, as the kernel hands packets over (VIRTIO_NET_HDR_F_NEEDS_CSUM). The tag vouches for every byte: no checksum is
 * needed here, and who opens the record lets its own kernel complete it where somebody will. */
#define RECORD_PARTIAL 0x01u

enum record_lane { RECORD_UDP = 0, RECORD_DATA = 1 };
#define RECORD_LANES 2u

enum record_cipher { RECORD_AES_256_GCM = 1, RECORD_CHACHA20_POLY1305 = 2 };
enum record_kind { RECORD_PACKET = 0, RECORD_PROBE = 1, RECORD_REPLY = 2 };

struct record_header {
  uint8_t kind;
  uint8_t lane; /* any: whoever took the record knows what it has to be */
  uint8_t flags;
  uint32_t index;
  uint64_t counter;
};

/* False for bytes that are no record: too short, another type, an unknown kind, flags that it has not. */
bool record_parse(const uint8_t *record, size_t length, struct record_header *header);

/* One key for sealing, or for opening, on one thread. */
struct record_key;

/* NULL without memory, or where OpenSSL does not have the cipher. */
struct record_key *record_key_new(enum record_cipher cipher, const uint8_t key[RECORD_KEY], bool seals);
/* Wipes the key. NULL is allowed. */
void record_key_free(struct record_key *key);

/* Seals the `length` bytes at `text`, which is record + RECORD_HEADER or does not overlap with the record: writes header,
 * ciphertext and tag, so that the record has length + RECORD_OVERHEAD bytes. False where OpenSSL fails; the record is then
 * not to be sent. */
bool record_seal(struct record_key *key, uint8_t *record, const uint8_t *text, size_t length,
                 struct record_header header);

/* Opens in place a record that record_parse took. Returns the bytes at record + RECORD_HEADER, 0 or more, or -1 where
 * anything about it is not authentic; what lies there then is not to be used. */
int64_t record_open(struct record_key *key, uint8_t *record, size_t length, const struct record_header *header);

/* Sliding window over counters (RFC 6479). Zeroed memory is a new one. */
#define REPLAY_BITS 8192u
struct replay {
  uint64_t next; /* one more than the greatest counter accepted */
  uint64_t bits[REPLAY_BITS / 64];
};

/* Whether `counter` may still be accepted: a look before the costly opening. */
bool replay_is_new(const struct replay *replay, uint64_t counter);
/* After opening: false for a counter that was accepted before or lies behind the window. */
bool replay_accept(struct replay *replay, uint64_t counter);

#endif

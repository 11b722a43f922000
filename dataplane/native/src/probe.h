/*
 * Probes: records that ask for an answer, padded to the size that is asked about. In clear:
 *
 *   │ number u32 │ time u64, the sender's own clock in nanoseconds │ zeros … │
 *
 * The answer has the first twelve bytes, and where it comes from a peer that counts:
 *
 *   │ records of this link that it has opened, u64 │
 */
#ifndef CRYONET_PROBE_H
#define CRYONET_PROBE_H

#include "keypair.h"

#define PROBE_LENGTH 12u
#define REPLY_LENGTH (PROBE_LENGTH + 8u)

/* Sends a probe in an IP packet of `size` bytes, or of as few as it can be. False where the kernel refuses it for its
 * length. On any thread. */
bool probe_send(struct keypair *keypair, uint32_t number, uint32_t size);
/* Answers a probe at once, from where it came to and at the address that it came from; tells the owner of an answer,
 * unless the probe only asked for the peer at another address (roaming.h). On a receiver, under direct->lock. False for
 * one that makes no sense. */
bool probe_take(struct keypair *keypair, uint8_t kind, const uint8_t *content, size_t length,
                const struct ends *ends);

#endif

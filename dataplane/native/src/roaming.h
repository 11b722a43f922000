/*
 * Where the peer is. Whoever has seen a record can send it from anywhere, and who has a key can write any source; so an
 * address that records come from is asked first, by a probe whose first bytes nobody can guess, and records go there
 * once it has answered (RFC 9000, section 8.2). Until then they go to the address before.
 */
#ifndef CRYONET_ROAMING_H
#define CRYONET_ROAMING_H

#include "keypair.h"

/* The newest record of a keypair came from there and to there. Nothing is asked before the link has an address to move
 * away from. On its receiver, under direct->lock. */
void roaming_heard(struct keypair *keypair, const struct ends *ends);
/* Asks an address that the peer may be at, and does so again where it was asked already. False where there are too many at
 * a time. On any thread. */
bool roaming_ask(struct keypair *keypair, const struct ends *ends);
/* For some round trips records leave from whichever address of ours the kernel chooses, wherever the peer's come to; then
 * from there again. On the owner's thread. */
void roaming_forget_own(struct link *link);
/* Whether these first bytes of an answer are those of such a probe: then the path has moved. On a receiver. */
bool roaming_answered(struct keypair *keypair, const uint8_t content[QUESTION_LENGTH]);

#endif

/*
 * Records on their way in, whatever carried them: opened, once each, their packets admitted (admission.h), joined
 * (coalesce.h) and written to the TUN devices. One intake for one thread; it takes the records of one lane.
 */
#ifndef CRYONET_INTAKE_H
#define CRYONET_INTAKE_H

#include "ecn.h"
#include "keypair.h"

struct intake;

/* NULL without memory. */
struct intake *intake_new(enum record_lane lane);
/* NULL is allowed. */
void intake_free(struct intake *intake);

/* Opens a record that record_parse took and whose index is the keypair's. It must not move or change before the next
 * intake_flush. `ends` and `ecn`: of the datagram that it came in; NULL and ECN_NOT_ECT where it came by a datachannel, by
 * which probes make no sense. True where it is the newest of its keypair. */
bool intake_take(struct intake *intake, struct keypair *keypair, uint8_t *record, size_t length,
                 const struct record_header *header, const struct ends *ends, enum ecn ecn);
/* Writes what was taken. Before the keypairs' links may go. */
void intake_flush(struct intake *intake);

#endif

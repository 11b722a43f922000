/* The capabilities of this process, capabilities(7). The process must have one thread: each thread has its own sets. */
#ifndef CRYONET_PRIVILEGES_H
#define CRYONET_PRIVILEGES_H

#include <stdbool.h>
#include <stdint.h>

/* The set of one capability of linux/capability.h. */
#define PRIVILEGE(capability) (UINT64_C(1) << (capability))

/* Gives up every capability that is not in `wanted`, for good: whatever this process executes, also as root, has no other
 * either. False: errno says why. */
bool privileges_keep(uint64_t wanted);

/* Whether this user may read `path` by its owner and mode alone. */
bool privileges_unneeded_to_read(const char *path);

#endif

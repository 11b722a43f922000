/*
 * The addresses of this machine, as they are now: rtnetlink(7) tells of each change, and they are read again when somebody
 * asks after one.
 */
#ifndef CRYONET_OWN_H
#define CRYONET_OWN_H

#include <netinet/in.h>
#include <stdbool.h>

struct own;

/* NULL with errno set on failure. */
struct own *own_open(void);
/* NULL is allowed. */
void own_close(struct own *own);
/* Whether it is one of them, IPv4 as a mapped one. True as well while they cannot be read. On any thread. */
bool own_has(struct own *own, const struct in6_addr *address);

#endif

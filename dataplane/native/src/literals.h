/* Addresses that a library gives to the resolver as they are.
 *
 * node-datachannel parses the peer's candidates by getaddrinfo with AI_ADDRCONFIG, which knows no IPv4 address on a
 * host that has none itself, literal or not: the candidates that a relay of that host's could reach are lost. */
#ifndef CRYONET_LITERALS_H
#define CRYONET_LITERALS_H

#include <stdbool.h>

/* From now on getaddrinfo, as the loaded library of this file name imports it, takes literal addresses of either family,
 * whatever addresses this host has. Names are looked up as before. False where there is no such import. */
bool literals_admit(const char *library);

#endif

/* TCP sockets whose packets carry a mark. */
#ifndef CRYONET_MARKED_H
#define CRYONET_MARKED_H

#include <stdint.h>

/* A socket that is not connected, does not wait and is not inherited, with SO_MARK. `family`: 4 or 6. -1: errno says
 * why, EPERM without CAP_NET_ADMIN. */
int marked_socket(uint32_t family, uint32_t mark);

#endif

/* TCP sockets whose packets carry a mark. */
#ifndef CRYONET_MARKED_H
#define CRYONET_MARKED_H

#include <stdint.h>

/* Makes a TCP socket with SO_MARK, not connected, non-blocking and close-on-exec. `family` is 4 or 6. Returns -1 with
 * errno set, to EPERM without CAP_NET_ADMIN. */
int marked_socket(uint32_t family, uint32_t mark);

#endif

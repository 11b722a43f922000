/* What a service tells its manager: sd_notify(3) without libsystemd. */
#ifndef CRYONET_NOTIFY_H
#define CRYONET_NOTIFY_H

#include <stdbool.h>

/* Sends `text` as one datagram to `address`: a path, or an abstract name after '@'. Never waits. False: errno says
 * why. */
bool notify_send(const char *address, const char *text);

#endif

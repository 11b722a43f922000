/* Tells the service manager, as sd_notify(3) does, without libsystemd. */
#ifndef CRYONET_NOTIFY_H
#define CRYONET_NOTIFY_H

#include <stdbool.h>

/* Sends `text` as one datagram to `address`: a path, or an abstract name after '@'. Never blocks. Returns false with
 * errno set. */
bool notify_send(const char *address, const char *text);

#endif

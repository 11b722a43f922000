/* The open TUN devices, which other bindings work on as well. */
#ifndef CRYONET_TUN_BINDING_H
#define CRYONET_TUN_BINDING_H

#include "binding.h"
#include "direct.h"
#include "poller.h"
#include "tun.h"

struct tun {
  struct device *device; /* NULL: a free place */
  uint32_t reader;       /* number of its reader thread */
  struct link *link;
  unsigned ifindex;
  bool pi;
};

/* A thread that reads devices. */
struct reader {
  struct poller *poller; /* exists while one of its devices is open */
  uint32_t open;
};

struct tuns {
  struct reader threads[OUTER_MAX];
  uint32_t readers; /* devices opened from now on are divided among so many */
  struct direct *direct; /* from `listen` on */
  napi_threadsafe_function bell;
  struct closing *closing;
  struct tun *places;
  uint32_t size;
  uint32_t open;
};

/* Adds the functions that dataplane/io/native.ts describes. NULL without memory. */
struct tuns *tun_binding_register(napi_env env, napi_value exports);

/* The arguments of a function whose first is a device; NULL after throwing. */
struct tun *tun_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values, struct tuns **tuns);
/* Rings the bell given to `listen`; `context` is a struct tuns. On any thread. */
void tun_ring_bell(void *context);

#endif

/* The machine's interfaces, addresses and routes for JavaScript. */
#ifndef CRYONET_HOST_BINDING_H
#define CRYONET_HOST_BINDING_H

#include "binding.h"

/* Adds the functions that dataplane/io/native.ts describes. */
void host_binding_register(napi_env env, napi_value exports);

#endif

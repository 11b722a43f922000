#ifndef CRYONET_TUN_BINDING_H
#define CRYONET_TUN_BINDING_H

#include "binding.h"

/* Adds the functions that dataplane/io/native.ts describes. */
void tun_binding_register(napi_env env, napi_value exports);

#endif

#ifndef CRYONET_DIRECT_BINDING_H
#define CRYONET_DIRECT_BINDING_H

#include "tun_binding.h"

/* Adds the functions that dataplane/io/native.ts describes. */
void direct_binding_register(napi_env env, napi_value exports, struct tuns *tuns);

#endif

#ifndef CRYONET_WATCHDOG_BINDING_H
#define CRYONET_WATCHDOG_BINDING_H

#include "binding.h"

void watchdog_binding_register(napi_env env, napi_value exports);

#endif

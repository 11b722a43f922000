/* What the addon exports, one binding per noun. */
#include "tun_binding.h"
#include "watchdog_binding.h"

NAPI_MODULE_INIT() {
  tun_binding_register(env, exports);
  watchdog_binding_register(env, exports);
  return exports;
}

/* What the addon exports, one binding per noun. */
#include "direct_binding.h"
#include "host_binding.h"
#include "tun_binding.h"
#include "watchdog_binding.h"

NAPI_MODULE_INIT() {
  struct tuns *tuns = tun_binding_register(env, exports);
  if (tuns != NULL) direct_binding_register(env, exports, tuns);
  host_binding_register(env, exports);
  watchdog_binding_register(env, exports);
  return exports;
}

/* The watchdog for JavaScript; dataplane/io/native.ts describes the functions. */
#include "watchdog_binding.h"

#include <errno.h>
#include <stdlib.h>

#include "watchdog.h"

struct guard {
  struct watchdog *watchdog;
};

static void stop(void *context) {
  struct guard *guard = context;
  if (guard->watchdog != NULL) watchdog_stop(guard->watchdog);
  free(guard);
}

/* watch(seconds): from now on `beat` has to be called more often than that. Once. */
static napi_value watch(napi_env env, napi_callback_info info) {
  napi_value value;
  void *context;
  uint32_t seconds;
  if (!binding_arguments(env, info, 1, &value, &context) || !binding_u32(env, value, &seconds)) return NULL;
  struct guard *guard = context;
  if (guard->watchdog != NULL) return binding_throw(env, "starting the watchdog", EALREADY);
  guard->watchdog = watchdog_start(seconds);
  return guard->watchdog == NULL ? binding_throw(env, "starting the watchdog", errno) : NULL;
}

/* beat() */
static napi_value beat(napi_env env, napi_callback_info info) {
  void *context;
  if (!binding_arguments(env, info, 0, NULL, &context)) return NULL;
  struct guard *guard = context;
  if (guard->watchdog != NULL) watchdog_beat(guard->watchdog);
  return NULL;
}

void watchdog_binding_register(napi_env env, napi_value exports) {
  struct guard *guard = calloc(1, sizeof *guard);
  if (guard == NULL) return;
  napi_add_env_cleanup_hook(env, stop, guard);
  binding_function(env, exports, "watch", watch, guard);
  binding_function(env, exports, "beat", beat, guard);
}

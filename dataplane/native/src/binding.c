#include "binding.h"

#include <errno.h>
#include <string.h>

bool binding_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values, void **context) {
  size_t given = count;
  if (napi_get_cb_info(env, info, &given, values, NULL, context) == napi_ok && given >= count) return true;
  napi_throw_type_error(env, NULL, "too few arguments");
  return false;
}

bool binding_u32(napi_env env, napi_value value, uint32_t *number) {
  if (napi_get_value_uint32(env, value, number) == napi_ok) return true;
  napi_throw_type_error(env, NULL, "not a number");
  return false;
}

bool binding_bool(napi_env env, napi_value value, bool *flag) {
  if (napi_get_value_bool(env, value, flag) == napi_ok) return true;
  napi_throw_type_error(env, NULL, "not a boolean");
  return false;
}

bool binding_string(napi_env env, napi_value value, char *text, size_t size) {
  size_t whole;
  size_t length;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &whole) == napi_ok && whole < size &&
      napi_get_value_string_utf8(env, value, text, size, &length) == napi_ok && strlen(text) == whole) {
    return true;
  }
  napi_throw_type_error(env, NULL, "not a string of a usable length");
  return false;
}

napi_value binding_new_bool(napi_env env, bool flag) {
  napi_value value = NULL;
  napi_get_boolean(env, flag, &value);
  return value;
}

napi_value binding_new_u32(napi_env env, uint32_t number) {
  napi_value value = NULL;
  napi_create_uint32(env, number, &value);
  return value;
}

void binding_function(napi_env env, napi_value exports, const char *name, napi_callback callback, void *context) {
  napi_value function;
  if (napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, context, &function) == napi_ok) {
    napi_set_named_property(env, exports, name, function);
  }
}

napi_value binding_throw(napi_env env, const char *step, int error) {
  const char *name = strerrorname_np(error);
  napi_throw_error(env, name == NULL ? "EUNKNOWN" : name, step);
  return NULL;
}

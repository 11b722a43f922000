/* Arguments, results and exceptions at the border to JavaScript. Only this project's TypeScript calls the addon, so
 * a wrong argument is a defect: it throws a TypeError and nothing more is made of it. */
#ifndef CRYONET_BINDING_H
#define CRYONET_BINDING_H

#define NAPI_VERSION 8
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fills `values` with exactly `count` arguments; `context` is what binding_function was given. */
bool binding_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values, void **context);
bool binding_u32(napi_env env, napi_value value, uint32_t *number);
bool binding_bool(napi_env env, napi_value value, bool *flag);
/* A string without NUL that fits `size` bytes with its terminator. */
bool binding_string(napi_env env, napi_value value, char *text, size_t size);

napi_value binding_new_bool(napi_env env, bool flag);
napi_value binding_new_u32(napi_env env, uint32_t number);
void binding_function(napi_env env, napi_value exports, const char *name, napi_callback callback, void *context);
/* Throws an Error with code = the errno's name and message = the step that failed; returns NULL. */
napi_value binding_throw(napi_env env, const char *step, int error);

#endif

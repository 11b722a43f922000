/* The addon of both processes for JavaScript; service/native.ts describes the functions. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "binding.h"
#include "broker.h"
#include "conceal.h"
#include "marked.h"
#include "notify.h"

/* Bytes of a text for the service manager, which is a few lines, or for the journal. */
enum { longest_text = 8192 };

/* notify(address, text) */
static napi_value notify(napi_env env, napi_callback_info info) {
  napi_value values[2];
  char address[sizeof((struct sockaddr_un *)0)->sun_path];
  char text[longest_text];
  if (!binding_arguments(env, info, 2, values, NULL) || !binding_string(env, values[0], address, sizeof address) ||
      !binding_string(env, values[1], text, sizeof text)) {
    return NULL;
  }
  return notify_send(address, text) ? NULL : binding_throw(env, "sending to a manager", errno);
}

/* The arguments of a function that takes two numbers. */
static bool two_numbers(napi_env env, napi_callback_info info, uint32_t *first, uint32_t *second) {
  napi_value values[2];
  return binding_arguments(env, info, 2, values, NULL) && binding_u32(env, values[0], first) &&
         binding_u32(env, values[1], second);
}

/* markedSocket(family, mark): a descriptor */
static napi_value new_marked_socket(napi_env env, napi_callback_info info) {
  uint32_t family;
  uint32_t mark;
  if (!two_numbers(env, info, &family, &mark)) return NULL;
  int fd = marked_socket(family, mark);
  return fd < 0 ? binding_throw(env, "marking a socket", errno) : binding_new_u32(env, (uint32_t)fd);
}

/* limitSegments(descriptor, bytes) */
static napi_value limit_segments(napi_env env, napi_callback_info info) {
  uint32_t fd;
  uint32_t bytes;
  if (!two_numbers(env, info, &fd, &bytes)) return NULL;
  bool limited = setsockopt((int)fd, IPPROTO_TCP, TCP_MAXSEG, &bytes, sizeof bytes) == 0;
  return limited ? NULL : binding_throw(env, "limiting segments", errno);
}

/* lock(descriptor): EAGAIN if another process has the lock */
static napi_value lock(napi_env env, napi_callback_info info) {
  napi_value values[1];
  uint32_t fd;
  if (!binding_arguments(env, info, 1, values, NULL) || !binding_u32(env, values[0], &fd)) return NULL;
  return flock((int)fd, LOCK_EX | LOCK_NB) == 0 ? NULL : binding_throw(env, "locking", errno);
}

/* conceal() */
static napi_value conceal_process(napi_env env, napi_callback_info info) {
  (void)env;
  (void)info;
  conceal();
  return NULL;
}

/* askBroker(channel, request): { pid, descriptor }, 0 for what did not come */
static napi_value ask_broker(napi_env env, napi_callback_info info) {
  napi_value values[2];
  uint32_t channel;
  void *request;
  size_t length;
  int32_t pid;
  int descriptor;
  if (!binding_arguments(env, info, 2, values, NULL) || !binding_u32(env, values[0], &channel)) return NULL;
  if (napi_get_buffer_info(env, values[1], &request, &length) != napi_ok) {
    napi_throw_type_error(env, NULL, "not a buffer");
    return NULL;
  }
  if (!broker_ask((int)channel, request, length, &pid, &descriptor)) {
    return binding_throw(env, "asking the broker", errno);
  }
  napi_value answer;
  napi_create_object(env, &answer);
  napi_set_named_property(env, answer, "pid", binding_new_u32(env, (uint32_t)pid));
  napi_set_named_property(env, answer, "descriptor", binding_new_u32(env, descriptor < 0 ? 0 : (uint32_t)descriptor));
  return answer;
}

NAPI_MODULE_INIT() {
  binding_function(env, exports, "notify", notify, NULL);
  binding_function(env, exports, "markedSocket", new_marked_socket, NULL);
  binding_function(env, exports, "limitSegments", limit_segments, NULL);
  binding_function(env, exports, "lock", lock, NULL);
  binding_function(env, exports, "conceal", conceal_process, NULL);
  binding_function(env, exports, "askBroker", ask_broker, NULL);
  return exports;
}

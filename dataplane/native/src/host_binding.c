#include "host_binding.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <string.h>

#include "literals.h"
#include "netlink.h"

/* An array that a visitor fills. */
struct rows {
  napi_env env;
  napi_value array;
  uint32_t count;
};

static napi_value new_text(napi_env env, const char *text) {
  napi_value value = NULL;
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value);
  return value;
}

static napi_value new_address(napi_env env, int family, const void *address) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(family, address, text, sizeof text);
  return new_text(env, text);
}

static void add_row(struct rows *rows, const napi_value *cells, uint32_t count) {
  napi_value row;
  napi_create_array_with_length(rows->env, count, &row);
  for (uint32_t i = 0; i < count; i++) napi_set_element(rows->env, row, i, cells[i]);
  napi_set_element(rows->env, rows->array, rows->count++, row);
}

static void add_link(const struct netlink_link *link, void *context) {
  struct rows *rows = context;
  napi_value cells[] = {
      binding_new_u32(rows->env, link->ifindex), new_text(rows->env, link->name),
      binding_new_u32(rows->env, link->flags),   new_text(rows->env, link->kind),
      binding_new_u32(rows->env, link->rp_filter),
  };
  add_row(rows, cells, sizeof cells / sizeof *cells);
}

static void add_address(const struct netlink_address *address, void *context) {
  struct rows *rows = context;
  napi_value cells[] = {
      binding_new_u32(rows->env, address->ifindex), new_address(rows->env, address->family, address->address),
      binding_new_u32(rows->env, address->flags),   binding_new_u32(rows->env, address->prefix_length),
      binding_new_u32(rows->env, address->scope),
  };
  add_row(rows, cells, sizeof cells / sizeof *cells);
}

/* hostLinks(): [ifindex, name, flags, kind, rpFilter] each. */
static napi_value host_links(napi_env env, napi_callback_info info) {
  struct rows rows = {.env = env};
  (void)info;
  napi_create_array(env, &rows.array);
  int error = netlink_each_link(add_link, &rows);
  return error == 0 ? rows.array : binding_throw(env, "listing the interfaces", error);
}

/* hostAddresses(): [ifindex, address, flags, prefixLength, scope] each. */
static napi_value host_addresses(napi_env env, napi_callback_info info) {
  struct rows rows = {.env = env};
  (void)info;
  napi_create_array(env, &rows.array);
  int error = netlink_each_address(add_address, &rows);
  return error == 0 ? rows.array : binding_throw(env, "listing the addresses", error);
}

/* route(address, mark): [interface, source], the source undefined where the kernel names none; or the errno's name. */
static napi_value route_to(napi_env env, napi_callback_info info) {
  napi_value values[2];
  char text[INET6_ADDRSTRLEN];
  unsigned char address[sizeof(struct in6_addr)];
  uint32_t mark;
  struct netlink_route route;
  char name[IFNAMSIZ];
  if (!binding_arguments(env, info, 2, values, NULL) || !binding_string(env, values[0], text, sizeof text) ||
      !binding_u32(env, values[1], &mark)) {
    return NULL;
  }
  int family = strchr(text, ':') == NULL ? AF_INET : AF_INET6;
  int error = inet_pton(family, text, address) == 1 ? netlink_route(family, address, mark, &route) : EAFNOSUPPORT;
  if (error == 0 && if_indextoname(route.ifindex, name) == NULL) error = ENETUNREACH;
  if (error != 0) return new_text(env, strerrorname_np(error));
  struct rows result = {.env = env};
  napi_create_array(env, &result.array);
  napi_set_element(env, result.array, 0, new_text(env, name));
  if (route.has_source) napi_set_element(env, result.array, 1, new_address(env, family, route.source));
  return result.array;
}

/* admitLiterals(library): false where it imports no getaddrinfo. */
static napi_value admit_literals(napi_env env, napi_callback_info info) {
  napi_value value;
  char library[NAME_MAX + 1];
  if (!binding_arguments(env, info, 1, &value, NULL) || !binding_string(env, value, library, sizeof library)) return NULL;
  return binding_new_bool(env, literals_admit(library));
}

void host_binding_register(napi_env env, napi_value exports) {
  binding_function(env, exports, "hostLinks", host_links, NULL);
  binding_function(env, exports, "hostAddresses", host_addresses, NULL);
  binding_function(env, exports, "route", route_to, NULL);
  binding_function(env, exports, "admitLiterals", admit_literals, NULL);
}

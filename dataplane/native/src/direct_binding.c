/* Links for JavaScript: the functions that dataplane/io/native.ts describes. A keypair is named by our receiver
 * index, which is never 0. */
#include "direct_binding.h"

#include <errno.h>

#include "probe.h"
#include "roaming.h"

/* Numbers of each event that directEvents returns. */
#define EVENT_NUMBERS 5u

static bool key_argument(napi_env env, napi_value value, const uint8_t **key) {
  void *bytes;
  size_t length;
  *key = NULL;
  if (napi_get_buffer_info(env, value, &bytes, &length) == napi_ok && length == RECORD_KEY) {
    *key = bytes;
    return true;
  }
  napi_throw_type_error(env, NULL, "not a key");
  return false;
}

/* The link of a device; NULL after throwing. */
static struct link *link_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values) {
  struct tuns *tuns;
  struct tun *tun = tun_arguments(env, info, count, values, &tuns);
  return tun == NULL ? NULL : tun->link;
}

/* The keypair named by the first argument; NULL, maybe after throwing. */
static struct keypair *keypair_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values) {
  void *context;
  uint32_t index;
  if (!binding_arguments(env, info, count, values, &context) || !binding_u32(env, values[0], &index)) return NULL;
  struct tuns *tuns = context;
  return tuns->direct == NULL ? NULL : keypair_find(tuns->direct, index);
}

/* directOpen(port, udp, workers, mark, dscp): called after listen, whose bell also rings for events, and while no device is
 * open. `udp` false: without sockets. */
static napi_value open_direct(napi_env env, napi_callback_info info) {
  napi_value values[5];
  void *context;
  uint32_t port;
  bool udp;
  uint32_t workers;
  uint32_t mark;
  uint32_t dscp;
  if (!binding_arguments(env, info, 5, values, &context) || !binding_u32(env, values[0], &port) ||
      !binding_bool(env, values[1], &udp) || !binding_u32(env, values[2], &workers) ||
      !binding_u32(env, values[3], &mark) || !binding_u32(env, values[4], &dscp)) {
    return NULL;
  }
  struct tuns *tuns = context;
  bool usable = tuns->direct != NULL && tuns->direct->outer.count == 0 && tuns->open == 0 && workers > 0 &&
                workers <= OUTER_MAX && dscp <= DSCP_COPY;
  if (!usable) return binding_throw(env, "direct paths", EINVAL);
  tuns->direct->port = (uint16_t)port;
  tuns->readers = workers;
  /* Of links that are gone. */
  struct event event;
  while (events_take(&tuns->direct->events, &event)) continue;
  const char *step;
  int error = udp ? direct_listen(tuns->direct, workers, mark, dscp, &step) : 0;
  return error == 0 ? NULL : binding_throw(env, step, error);
}

/* directClose(): closes the sockets. */
static napi_value close_direct(napi_env env, napi_callback_info info) {
  void *context;
  if (!binding_arguments(env, info, 0, NULL, &context)) return NULL;
  struct tuns *tuns = context;
  for (uint32_t i = 0; i < tuns->size; i++) {
    if (tuns->places[i].device != NULL) link_carry(tuns->places[i].link, false);
  }
  if (tuns->direct != NULL) direct_unlisten(tuns->direct);
  return NULL;
}

/* mark(value): SO_MARK on every UDP socket of this process. */
static napi_value mark_sockets(napi_env env, napi_callback_info info) {
  napi_value value;
  uint32_t mark;
  if (!binding_arguments(env, info, 1, &value, NULL) || !binding_u32(env, value, &mark)) return NULL;
  int error = outer_mark(mark);
  return error == 0 ? NULL : binding_throw(env, "SO_MARK", error);
}

/* directCounters(device, numbers): fills a Float64Array (keypair.h, enum link_counter). */
static napi_value link_counters(napi_env env, napi_callback_info info) {
  napi_value values[2];
  napi_typedarray_type type;
  size_t length;
  void *bytes;
  struct link *link = link_arguments(env, info, 2, values);
  if (link == NULL) return NULL;
  if (napi_get_typedarray_info(env, values[1], &type, &length, &bytes, NULL, NULL) != napi_ok ||
      type != napi_float64_array || length != LINK_COUNTERS) {
    napi_throw_type_error(env, NULL, "not a Float64Array of a number for each counter");
    return NULL;
  }
  for (unsigned i = 0; i < LINK_COUNTERS; i++) ((double *)bytes)[i] = (double)atomic_load(&link->counters[i]);
  return NULL;
}

/* directStrays(): [records of no keypair, datagrams that are no record] */
static napi_value strays(napi_env env, napi_callback_info info) {
  void *context;
  napi_value result;
  if (!binding_arguments(env, info, 0, NULL, &context)) return NULL;
  struct tuns *tuns = context;
  napi_create_array_with_length(env, 2, &result);
  for (unsigned i = 0; i < 2; i++) {
    napi_value number;
    double total = tuns->direct == NULL ? 0 : (double)atomic_load(&tuns->direct->counters[i]);
    napi_create_double(env, total, &number);
    napi_set_element(env, result, i, number);
  }
  return result;
}

/* setEndpoint(device, address, port): false for an address that the sockets cannot reach. */
static napi_value set_endpoint(napi_env env, napi_callback_info info) {
  napi_value values[3];
  char text[64];
  uint32_t port;
  struct endpoint endpoint;
  struct link *link = link_arguments(env, info, 3, values);
  if (link == NULL || !binding_string(env, values[1], text, sizeof text) || !binding_u32(env, values[2], &port)) {
    return NULL;
  }
  const struct outer *outer = &link->direct->outer;
  bool valid = outer->count > 0 && outer_endpoint(outer, text, (uint16_t)port, &endpoint);
  if (valid) link_set_endpoint(link, &endpoint);
  return binding_new_bool(env, valid);
}

/* endpoint(device): [address, port, bytes of IP and UDP header] */
static napi_value get_endpoint(napi_env env, napi_callback_info info) {
  napi_value values[1];
  char text[64];
  napi_value result;
  napi_value address;
  struct link *link = link_arguments(env, info, 1, values);
  if (link == NULL) return NULL;
  struct endpoint endpoint = link_ends(link).far;
  uint32_t port = endpoint_text(&endpoint, text);
  napi_create_array_with_length(env, 3, &result);
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &address);
  napi_set_element(env, result, 0, address);
  napi_set_element(env, result, 1, binding_new_u32(env, port));
  napi_set_element(env, result, 2, binding_new_u32(env, endpoint_overhead(&endpoint)));
  return result;
}

/* source(device): the address that records leave from, or undefined where there is no way. */
static napi_value get_source(napi_env env, napi_callback_info info) {
  napi_value values[1];
  char text[64];
  napi_value address;
  struct link *link = link_arguments(env, info, 1, values);
  if (link == NULL) return NULL;
  struct ends ends = link_ends(link);
  if (link->direct->outer.count == 0) return NULL;
  if (own_address_fits(&ends.own, &ends.far)) own_address_text(&ends.own, text);
  else if (!outer_source(&link->direct->outer, &ends.far, text)) return NULL;
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &address);
  return address;
}

/* forgetOwn(device) */
static napi_value forget_own(napi_env env, napi_callback_info info) {
  napi_value values[1];
  struct link *link = link_arguments(env, info, 1, values);
  if (link != NULL) roaming_forget_own(link);
  return NULL;
}

/* setLimit(device, bytes): the longest packet, struct tun_pi included, that goes by the direct path. */
static napi_value set_limit(napi_env env, napi_callback_info info) {
  napi_value values[2];
  uint32_t bytes;
  struct link *link = link_arguments(env, info, 2, values);
  if (link != NULL && binding_u32(env, values[1], &bytes)) link_set_limit(link, bytes);
  return NULL;
}

/* join(device) */
static napi_value join(napi_env env, napi_callback_info info) {
  napi_value value;
  struct link *link = link_arguments(env, info, 1, &value);
  if (link != NULL) link_join(link);
  return NULL;
}

/* setSegmentation(device, on): whether records leave together. */
static napi_value set_segmentation(napi_env env, napi_callback_info info) {
  napi_value values[2];
  bool on;
  struct link *link = link_arguments(env, info, 2, values);
  if (link != NULL && napi_get_value_bool(env, values[1], &on) == napi_ok) link_set_segmentation(link, on);
  return NULL;
}

/* addKeypair(device, index, peerIndex, cipher, seal, open, ecn): EEXIST where the index is taken. */
static napi_value add_keypair(napi_env env, napi_callback_info info) {
  napi_value values[7];
  uint32_t index;
  uint32_t peer_index;
  uint32_t cipher;
  const uint8_t *seal;
  const uint8_t *open;
  bool ecn;
  struct link *link = link_arguments(env, info, 7, values);
  if (link == NULL || !binding_u32(env, values[1], &index) || !binding_u32(env, values[2], &peer_index) ||
      !binding_u32(env, values[3], &cipher) || !key_argument(env, values[4], &seal) ||
      !key_argument(env, values[5], &open) || !binding_bool(env, values[6], &ecn)) {
    return NULL;
  }
  struct keypair *keypair = keypair_add(link, index, peer_index, (enum record_cipher)cipher, seal, open, ecn);
  return keypair == NULL ? binding_throw(env, "adding a keypair", errno) : NULL;
}

/* useKeypair(device, index): 0 for none. */
static napi_value use_keypair(napi_env env, napi_callback_info info) {
  napi_value values[2];
  uint32_t index;
  struct link *link = link_arguments(env, info, 2, values);
  if (link == NULL || !binding_u32(env, values[1], &index)) return NULL;
  struct keypair *keypair = index == 0 ? NULL : keypair_find(link->direct, index);
  if (index != 0 && (keypair == NULL || keypair->link != link)) return binding_throw(env, "using a keypair", ENOENT);
  link_use(link, keypair);
  return NULL;
}

/* carry(device, byUdp) */
static napi_value carry(napi_env env, napi_callback_info info) {
  napi_value values[2];
  bool by_udp;
  struct link *link = link_arguments(env, info, 2, values);
  if (link == NULL || !binding_bool(env, values[1], &by_udp)) return NULL;
  if (by_udp && link->direct->outer.count == 0) return binding_throw(env, "direct paths", ENOTCONN);
  link_carry(link, by_udp);
  return NULL;
}

/* openRecords(device, records): an array of what came by a datachannel. Their memory is written to. */
static napi_value open_records(napi_env env, napi_callback_info info) {
  napi_value values[2];
  uint32_t count;
  struct link *link = link_arguments(env, info, 2, values);
  if (link == NULL) return NULL;
  if (napi_get_array_length(env, values[1], &count) != napi_ok) {
    napi_throw_type_error(env, NULL, "not an array");
    return NULL;
  }
  for (uint32_t i = 0; i < count; i++) {
    napi_handle_scope scope;
    napi_value record;
    void *bytes;
    size_t length;
    if (napi_open_handle_scope(env, &scope) != napi_ok) break;
    if (napi_get_element(env, values[1], i, &record) == napi_ok &&
        napi_get_buffer_info(env, record, &bytes, &length) == napi_ok) {
      link_open(link, bytes, length);
    }
    napi_close_handle_scope(env, scope);
  }
  link_opened(link);
  return NULL;
}

/* sign(index): a record without a packet, for a datachannel; undefined where there is no such keypair. */
static napi_value sign(napi_env env, napi_callback_info info) {
  napi_value value;
  void *bytes;
  napi_value buffer;
  struct keypair *keypair = keypair_arguments(env, info, 1, &value);
  if (keypair == NULL || napi_create_arraybuffer(env, RECORD_OVERHEAD, &bytes, &buffer) != napi_ok) return NULL;
  return keypair_sign(keypair, bytes) ? buffer : NULL;
}

/* removeKeypair(index): one that is not in use. */
static napi_value remove_keypair(napi_env env, napi_callback_info info) {
  napi_value values[1];
  struct keypair *keypair = keypair_arguments(env, info, 1, values);
  if (keypair != NULL) keypair_remove(keypair);
  return NULL;
}

/* probe(index, number, size): false where the kernel refuses an IP packet of this size, or there is no such keypair. */
static napi_value send_probe(napi_env env, napi_callback_info info) {
  napi_value values[3];
  uint32_t number;
  uint32_t size;
  struct keypair *keypair = keypair_arguments(env, info, 3, values);
  if (keypair == NULL) return binding_new_bool(env, false);
  if (!binding_u32(env, values[1], &number) || !binding_u32(env, values[2], &size)) return NULL;
  return binding_new_bool(env, probe_send(keypair, number, size));
}

/* ask(index, address, port): false where that address cannot be asked now, or there is no such keypair. */
static napi_value ask(napi_env env, napi_callback_info info) {
  napi_value values[3];
  char text[64];
  uint32_t port;
  struct ends ends = {0};
  struct keypair *keypair = keypair_arguments(env, info, 3, values);
  if (keypair == NULL) return binding_new_bool(env, false);
  if (!binding_string(env, values[1], text, sizeof text) || !binding_u32(env, values[2], &port)) return NULL;
  const struct outer *outer = &keypair->link->direct->outer;
  bool valid = outer->count > 0 && outer_endpoint(outer, text, (uint16_t)port, &ends.far);
  return binding_new_bool(env, valid && roaming_ask(keypair, &ends));
}

/* directEvents(): a Float64Array's worth of bytes, four numbers for each: type, index, number, round trip in
 * milliseconds. Undefined for none; the bell rings for the next. */
static napi_value take_events(napi_env env, napi_callback_info info) {
  void *context;
  double numbers[EVENTS_MAX * EVENT_NUMBERS];
  unsigned used = 0;
  struct event event;
  if (!binding_arguments(env, info, 0, NULL, &context)) return NULL;
  struct tuns *tuns = context;
  if (tuns->direct == NULL) return NULL;
  while (used < EVENTS_MAX * EVENT_NUMBERS && events_take(&tuns->direct->events, &event)) {
    numbers[used++] = event.type;
    numbers[used++] = event.index;
    numbers[used++] = event.number;
    numbers[used++] = (double)event.rtt / 1e6;
    numbers[used++] = event.opened == EVENT_UNTOLD ? -1 : (double)event.opened;
  }
  void *bytes;
  napi_value buffer;
  if (used == 0 || napi_create_arraybuffer(env, used * sizeof numbers[0], &bytes, &buffer) != napi_ok) return NULL;
  for (unsigned i = 0; i < used; i++) ((double *)bytes)[i] = numbers[i];
  return buffer;
}

void direct_binding_register(napi_env env, napi_value exports, struct tuns *tuns) {
  binding_function(env, exports, "directOpen", open_direct, tuns);
  binding_function(env, exports, "directClose", close_direct, tuns);
  binding_function(env, exports, "directCounters", link_counters, tuns);
  binding_function(env, exports, "directStrays", strays, tuns);
  binding_function(env, exports, "directEvents", take_events, tuns);
  binding_function(env, exports, "mark", mark_sockets, tuns);
  binding_function(env, exports, "setEndpoint", set_endpoint, tuns);
  binding_function(env, exports, "endpoint", get_endpoint, tuns);
  binding_function(env, exports, "source", get_source, tuns);
  binding_function(env, exports, "forgetOwn", forget_own, tuns);
  binding_function(env, exports, "setLimit", set_limit, tuns);
  binding_function(env, exports, "join", join, tuns);
  binding_function(env, exports, "setSegmentation", set_segmentation, tuns);
  binding_function(env, exports, "addKeypair", add_keypair, tuns);
  binding_function(env, exports, "useKeypair", use_keypair, tuns);
  binding_function(env, exports, "carry", carry, tuns);
  binding_function(env, exports, "openRecords", open_records, tuns);
  binding_function(env, exports, "sign", sign, tuns);
  binding_function(env, exports, "removeKeypair", remove_keypair, tuns);
  binding_function(env, exports, "probe", send_probe, tuns);
  binding_function(env, exports, "ask", ask, tuns);
}

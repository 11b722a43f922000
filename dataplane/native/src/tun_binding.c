/*
 * TUN devices for JavaScript: the functions that dataplane/io/native.ts describes. A device is a small number, the
 * place of its `struct tun` below; the wrapper uses none after closing it.
 *
 * Teardown, also when the environment ends with devices open: links and devices removed, reader threads joined, closing
 * threads joined, sockets closed, then (by Node, whose own hook runs after ours) the bell.
 */
#include "tun_binding.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "netlink.h"

void tun_ring_bell(void *context) {
  struct tuns *tuns = context;
  napi_call_threadsafe_function(tuns->bell, NULL, napi_tsfn_nonblocking);
}

/* NULL with errno set on failure. */
static struct device *add_device(struct tuns *tuns, uint32_t number, int fd, bool pi, const char **step) {
  struct reader *reader = &tuns->threads[number];
  *step = "starting the reader thread";
  if (reader->poller == NULL) reader->poller = poller_start(tun_ring_bell, tuns);
  if (reader->poller == NULL) return NULL;
  struct device *device = poller_add(reader->poller, fd, pi);
  if (device != NULL) {
    reader->open++;
    tuns->open++;
  } else if (reader->open == 0) {
    poller_stop(reader->poller);
    reader->poller = NULL;
    errno = ENOMEM;
  }
  return device;
}

/* Gives the descriptor back. */
static int remove_device(struct tuns *tuns, struct tun *tun) {
  struct reader *reader = &tuns->threads[tun->reader];
  int fd = poller_remove(reader->poller, tun->device);
  tun->device = NULL;
  tuns->open--;
  if (--reader->open > 0) return fd;
  poller_stop(reader->poller);
  reader->poller = NULL;
  return fd;
}

static void close_place(struct tuns *tuns, struct tun *tun) {
  tun_join(&tuns->closing, false);
  link_free(tun->link);
  unsigned ifindex = tun->ifindex;
  tun_close(&tuns->closing, remove_device(tuns, tun), ifindex);
}

static void close_all(void *context) {
  struct tuns *tuns = context;
  for (uint32_t i = 0; i < tuns->size; i++) {
    if (tuns->places[i].device != NULL) close_place(tuns, &tuns->places[i]);
  }
  tun_join(&tuns->closing, true);
  direct_close(tuns->direct);
  tuns->direct = NULL;
}

static void free_tuns(void *context) {
  struct tuns *tuns = context;
  free(tuns->places);
  free(tuns);
}

struct tun *tun_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values,
                          struct tuns **tuns) {
  void *context;
  uint32_t place;
  if (!binding_arguments(env, info, count, values, &context) || !binding_u32(env, values[0], &place)) return NULL;
  *tuns = context;
  if (place < (*tuns)->size && (*tuns)->places[place].device != NULL) return &(*tuns)->places[place];
  napi_throw_type_error(env, NULL, "not an open device");
  return NULL;
}

/* undefined, or an exception where `error` is an errno. */
static napi_value done(napi_env env, const char *step, int error) {
  return error == 0 ? NULL : binding_throw(env, step, error);
}

/* listen(wake): called once, before the first device. From then on there are links, without sockets. */
static napi_value listen_bell(napi_env env, napi_callback_info info) {
  napi_value wake;
  napi_value name;
  void *context;
  if (!binding_arguments(env, info, 1, &wake, &context)) return NULL;
  struct tuns *tuns = context;
  if (tuns->bell != NULL || napi_create_string_utf8(env, "cryonet:tun", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_threadsafe_function(env, wake, NULL, name, 1, 1, NULL, NULL, NULL, NULL, &tuns->bell) != napi_ok) {
    return binding_throw(env, "napi_create_threadsafe_function", EINVAL);
  }
  tuns->direct = direct_open(tun_ring_bell, tuns);
  if (tuns->direct == NULL) return binding_throw(env, "opening links", errno);
  /* Only an open device keeps the process alive. */
  napi_unref_threadsafe_function(env, tuns->bell);
  /* Hooks run in reverse: this one before the bell's own, which was added just now. */
  napi_add_env_cleanup_hook(env, close_all, tuns);
  return NULL;
}

/* A free place, its number in `place`. NULL when out of memory. */
static struct tun *take_place(struct tuns *tuns, uint32_t *place) {
  for (*place = 0; *place < tuns->size; (*place)++) {
    if (tuns->places[*place].device == NULL) return &tuns->places[*place];
  }
  uint32_t size = tuns->size == 0 ? 16 : tuns->size * 2;
  struct tun *places = realloc(tuns->places, size * sizeof *places);
  if (places == NULL) return NULL;
  memset(places + tuns->size, 0, (size - tuns->size) * sizeof *places);
  tuns->places = places;
  tuns->size = size;
  return &places[*place];
}

/* try(path) */
static napi_value try_tun(napi_env env, napi_callback_info info) {
  napi_value value;
  char path[PATH_MAX];
  if (!binding_arguments(env, info, 1, &value, NULL) || !binding_string(env, value, path, sizeof path)) return NULL;
  const char *step;
  int error = tun_try(path, &step);
  return done(env, step, error);
}

/* open(path, name, packetInformation): [device, name, ifindex]. Down, without carrier, not being read. */
static napi_value open_tun(napi_env env, napi_callback_info info) {
  napi_value values[3];
  void *context;
  char path[PATH_MAX];
  char name[64]; /* longer than the kernel's, so that it is refused for what it is */
  char chosen[IFNAMSIZ];
  bool packet_information;
  if (!binding_arguments(env, info, 3, values, &context) || !binding_string(env, values[0], path, sizeof path) ||
      !binding_string(env, values[1], name, sizeof name) || !binding_bool(env, values[2], &packet_information)) {
    return NULL;
  }
  struct tuns *tuns = context;
  uint32_t place;
  struct tun *tun = take_place(tuns, &place);
  if (tuns->bell == NULL || tun == NULL) return binding_throw(env, "open", tun == NULL ? ENOMEM : EINVAL);
  const char *step;
  bool udp;
  int fd = tun_open(path, name, packet_information, chosen, &udp, &step);
  if (fd < 0) return binding_throw(env, step, errno);
  unsigned ifindex = if_nametoindex(chosen);
  step = "if_nametoindex";
  uint32_t reader = place % tuns->readers;
  struct device *device = ifindex == 0 ? NULL : add_device(tuns, reader, fd, packet_information, &step);
  if (device == NULL) {
    int error = errno;
    close(fd);
    return binding_throw(env, step, error);
  }
  *tun = (struct tun){
      .device = device,
      .ifindex = ifindex,
      .reader = reader,
      .pi = packet_information,
  };
  tun->link = link_new(tuns->direct, device, reader, packet_information, udp);
  if (tun->link == NULL) {
    close(remove_device(tuns, tun));
    return binding_throw(env, "open", ENOMEM);
  }
  if (tuns->open == 1) napi_ref_threadsafe_function(env, tuns->bell);

  napi_value result;
  napi_value chosen_name;
  napi_create_array_with_length(env, 3, &result);
  napi_create_string_utf8(env, chosen, NAPI_AUTO_LENGTH, &chosen_name);
  napi_set_element(env, result, 0, binding_new_u32(env, place));
  napi_set_element(env, result, 1, chosen_name);
  napi_set_element(env, result, 2, binding_new_u32(env, ifindex));
  return result;
}

/* close(device) */
static napi_value close_tun(napi_env env, napi_callback_info info) {
  napi_value values[1];
  struct tuns *tuns;
  struct tun *tun = tun_arguments(env, info, 1, values, &tuns);
  if (tun == NULL) return NULL;
  close_place(tuns, tun);
  if (tuns->open == 0) napi_unref_threadsafe_function(env, tuns->bell);
  return NULL;
}

/* setCarrier(device, up) */
static napi_value set_carrier(napi_env env, napi_callback_info info) {
  napi_value values[2];
  struct tuns *tuns;
  bool up;
  struct tun *tun = tun_arguments(env, info, 2, values, &tuns);
  if (tun == NULL || !binding_bool(env, values[1], &up)) return NULL;
  return done(env, "TUNSETCARRIER", tun_set_carrier(device_fd(tun->device), up));
}

/* Before the kernel may send longer packets; and never less, since longer ones may still wait in its queue. 0 or errno. */
static int allow_mtu(const struct tun *tun, uint32_t bytes) {
  if (bytes > UINT16_MAX) return EINVAL;
  device_raise_limit(tun->device, bytes + (tun->pi ? POLLER_PI : 0));
  return 0;
}

/* configure(device, mtu, queueLength, alias) */
static napi_value configure(napi_env env, napi_callback_info info) {
  napi_value values[4];
  struct tuns *tuns;
  struct netlink_settings settings;
  char alias[1024];
  struct tun *tun = tun_arguments(env, info, 4, values, &tuns);
  if (tun == NULL || !binding_u32(env, values[1], &settings.mtu) ||
      !binding_u32(env, values[2], &settings.queue_length) || !binding_string(env, values[3], alias, sizeof alias)) {
    return NULL;
  }
  settings.alias = alias;
  int error = allow_mtu(tun, settings.mtu);
  if (error == 0) error = netlink_configure(tun->ifindex, &settings);
  return done(env, "configuring the interface", error);
}

/* setMtu(device, bytes) */
static napi_value set_mtu(napi_env env, napi_callback_info info) {
  napi_value values[2];
  struct tuns *tuns;
  uint32_t bytes;
  struct tun *tun = tun_arguments(env, info, 2, values, &tuns);
  if (tun == NULL || !binding_u32(env, values[1], &bytes)) return NULL;
  int error = allow_mtu(tun, bytes);
  if (error == 0) error = netlink_set_mtu(tun->ifindex, bytes);
  return done(env, "setting the MTU", error);
}

/* dropped(device): packets that the kernel's queue for it had no room for. */
static napi_value get_dropped(napi_env env, napi_callback_info info) {
  napi_value values[1];
  napi_value result;
  struct tuns *tuns;
  uint64_t packets;
  struct tun *tun = tun_arguments(env, info, 1, values, &tuns);
  if (tun == NULL) return NULL;
  int error = netlink_dropped(tun->ifindex, &packets);
  if (error != 0) return binding_throw(env, "reading the interface's counters", error);
  return napi_create_double(env, (double)packets, &result) == napi_ok ? result : NULL;
}

/* setUp(device) */
static napi_value set_up(napi_env env, napi_callback_info info) {
  napi_value values[1];
  struct tuns *tuns;
  struct tun *tun = tun_arguments(env, info, 1, values, &tuns);
  if (tun == NULL) return NULL;
  return done(env, "setting the interface up", netlink_set_up(tun->ifindex));
}

/* stopAddressGeneration(device) */
static napi_value stop_address_generation(napi_env env, napi_callback_info info) {
  napi_value values[1];
  struct tuns *tuns;
  struct tun *tun = tun_arguments(env, info, 1, values, &tuns);
  if (tun == NULL) return NULL;
  return done(env, "setting the address generation mode", netlink_stop_address_generation(tun->ifindex));
}

static napi_value put_address(napi_env env, napi_callback_info info, bool alone) {
  napi_value values[3];
  struct tuns *tuns;
  char text[INET6_ADDRSTRLEN];
  struct in6_addr address;
  uint32_t prefix_length;
  struct tun *tun = tun_arguments(env, info, 3, values, &tuns);
  if (tun == NULL || !binding_string(env, values[1], text, sizeof text) ||
      !binding_u32(env, values[2], &prefix_length)) {
    return NULL;
  }
  const char *step = "adding the link-local address";
  if (inet_pton(AF_INET6, text, &address) != 1 || prefix_length > 128) return binding_throw(env, step, EINVAL);
  int error = netlink_add_address(tun->ifindex, &address, (uint8_t)prefix_length);
  if (error == 0 && alone) error = netlink_remove_other_addresses(tun->ifindex, &address);
  return done(env, step, error);
}

/* setAddress(device, ipv6, prefixLength): the only IPv6 address of the interface. */
static napi_value set_address(napi_env env, napi_callback_info info) { return put_address(env, info, true); }

/* addAddress(device, ipv6, prefixLength): beside those that are there. */
static napi_value add_address(napi_env env, napi_callback_info info) { return put_address(env, info, false); }

typedef int (*address_change)(unsigned ifindex, int family, const void *address, uint8_t prefix_length);

static napi_value change_given(napi_env env, napi_callback_info info, const char *step, address_change change) {
  napi_value values[3];
  struct tuns *tuns;
  char text[INET6_ADDRSTRLEN];
  unsigned char address[sizeof(struct in6_addr)];
  uint32_t prefix_length;
  struct tun *tun = tun_arguments(env, info, 3, values, &tuns);
  if (tun == NULL || !binding_string(env, values[1], text, sizeof text) ||
      !binding_u32(env, values[2], &prefix_length)) {
    return NULL;
  }
  int family = strchr(text, ':') == NULL ? AF_INET : AF_INET6;
  uint32_t longest = family == AF_INET ? 32 : 128;
  if (inet_pton(family, text, address) != 1 || prefix_length > longest) return binding_throw(env, step, EINVAL);
  return done(env, step, change(tun->ifindex, family, address, (uint8_t)prefix_length));
}

/* giveAddress(device, address, prefixLength): throws EEXIST where it is there. */
static napi_value give_address(napi_env env, napi_callback_info info) {
  return change_given(env, info, "adding an address", netlink_give_address);
}

/* takeAddress(device, address, prefixLength) */
static napi_value take_address(napi_env env, napi_callback_info info) {
  return change_given(env, info, "removing an address", netlink_take_address);
}

/* setRpFilter(device, mode) */
static napi_value set_rp_filter(napi_env env, napi_callback_info info) {
  napi_value values[2];
  struct tuns *tuns;
  uint32_t mode;
  struct tun *tun = tun_arguments(env, info, 2, values, &tuns);
  if (tun == NULL || !binding_u32(env, values[1], &mode)) return NULL;
  return done(env, "setting rp_filter", netlink_set_rp_filter(tun->ifindex, mode));
}

/* take(device, packets): an ArrayBuffer with at most that many sealed packets as they lie in the ring (ring.h), or undefined
 * when there is none. */
static napi_value take_packets(napi_env env, napi_callback_info info) {
  napi_value values[2];
  struct tuns *tuns;
  uint32_t packets;
  struct tun *tun = tun_arguments(env, info, 2, values, &tuns);
  if (tun == NULL || !binding_u32(env, values[1], &packets)) return NULL;
  const uint8_t *records;
  uint32_t length = device_peek(tun->device, packets, &records);
  if (length == 0) return NULL;
  void *bytes;
  napi_value batch;
  if (napi_create_arraybuffer(env, length, &bytes, &batch) != napi_ok) return NULL;
  memcpy(bytes, records, length);
  device_release(tun->device, length);
  return batch;
}

/* pause(device) */
static napi_value pause_tun(napi_env env, napi_callback_info info) {
  napi_value values[1];
  struct tuns *tuns;
  struct tun *tun = tun_arguments(env, info, 1, values, &tuns);
  if (tun != NULL) device_pause(tun->device);
  return NULL;
}

/* resume(device): what lies in its ring is for the caller to take, no bell rings for it. */
static napi_value resume_tun(napi_env env, napi_callback_info info) {
  napi_value values[1];
  struct tuns *tuns;
  struct tun *tun = tun_arguments(env, info, 1, values, &tuns);
  if (tun == NULL) return NULL;
  return done(env, "watching the device", device_resume(tun->device));
}

/* rest(): true when the bell rings for the next packet; false while there is something to take. */
static napi_value rest(napi_env env, napi_callback_info info) {
  void *context;
  if (!binding_arguments(env, info, 0, NULL, &context)) return NULL;
  struct tuns *tuns = context;
  bool rests = true;
  for (unsigned i = 0; i < OUTER_MAX; i++) {
    struct poller *poller = tuns->threads[i].poller;
    if (poller != NULL && !poller_rest(poller)) rests = false;
  }
  return binding_new_bool(env, rests);
}

struct tuns *tun_binding_register(napi_env env, napi_value exports) {
  struct tuns *tuns = calloc(1, sizeof *tuns);
  if (tuns == NULL) return NULL;
  tuns->readers = 1;
  napi_add_env_cleanup_hook(env, free_tuns, tuns);
  binding_function(env, exports, "listen", listen_bell, tuns);
  binding_function(env, exports, "try", try_tun, tuns);
  binding_function(env, exports, "open", open_tun, tuns);
  binding_function(env, exports, "close", close_tun, tuns);
  binding_function(env, exports, "setCarrier", set_carrier, tuns);
  binding_function(env, exports, "configure", configure, tuns);
  binding_function(env, exports, "setMtu", set_mtu, tuns);
  binding_function(env, exports, "dropped", get_dropped, tuns);
  binding_function(env, exports, "setUp", set_up, tuns);
  binding_function(env, exports, "stopAddressGeneration", stop_address_generation, tuns);
  binding_function(env, exports, "setAddress", set_address, tuns);
  binding_function(env, exports, "addAddress", add_address, tuns);
  binding_function(env, exports, "giveAddress", give_address, tuns);
  binding_function(env, exports, "takeAddress", take_address, tuns);
  binding_function(env, exports, "setRpFilter", set_rp_filter, tuns);
  binding_function(env, exports, "take", take_packets, tuns);
  binding_function(env, exports, "pause", pause_tun, tuns);
  binding_function(env, exports, "resume", resume_tun, tuns);
  binding_function(env, exports, "rest", rest, tuns);
  return tuns;
}

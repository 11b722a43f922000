#include "own.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct own {
  int changes; /* a socket that hears of them */
  pthread_mutex_t lock;
  bool known;
  size_t count;
  struct in6_addr *addresses; /* in the order of their bytes */
};

static int compare(const void *a, const void *b) { return memcmp(a, b, sizeof(struct in6_addr)); }

static bool read_one(const struct sockaddr *from, struct in6_addr *address) {
  if (from == NULL) return false;
  if (from->sa_family == AF_INET6) {
    *address = ((const struct sockaddr_in6 *)from)->sin6_addr;
    return true;
  }
  if (from->sa_family != AF_INET) return false;
  *address = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
  memcpy(&address->s6_addr[12], &((const struct sockaddr_in *)from)->sin_addr, sizeof(struct in_addr));
  return true;
}

/* Under the lock. */
static bool read_all(struct own *own) {
  struct ifaddrs *list;
  size_t count = 0;
  if (getifaddrs(&list) != 0) return false;
  for (const struct ifaddrs *each = list; each != NULL; each = each->ifa_next) count++;
  struct in6_addr *addresses = malloc((count + 1) * sizeof *addresses);
  size_t used = 0;
  for (const struct ifaddrs *each = list; addresses != NULL && each != NULL; each = each->ifa_next) {
    if (read_one(each->ifa_addr, &addresses[used])) used++;
  }
  freeifaddrs(list);
  if (addresses == NULL) return false;
  qsort(addresses, used, sizeof *addresses, compare);
  free(own->addresses);
  own->addresses = addresses;
  own->count = used;
  return true;
}

/* Under the lock. Whether something changed since the last call; a queue that overflowed says so by an error. */
static bool has_changed(struct own *own) {
  char message[1];
  bool changed = false;
  while (recv(own->changes, message, sizeof message, MSG_DONTWAIT | MSG_TRUNC) >= 0 || errno == ENOBUFS ||
         errno == EINTR) {
    changed = true;
  }
  return changed;
}

struct own *own_open(void) {
  struct own *own = calloc(1, sizeof *own);
  if (own == NULL) return NULL;
  struct sockaddr_nl group = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
  own->changes = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  if (own->changes < 0 || bind(own->changes, (const struct sockaddr *)&group, sizeof group) != 0) {
    int error = errno;
    if (own->changes >= 0) close(own->changes);
    free(own);
    errno = error;
    return NULL;
  }
  pthread_mutex_init(&own->lock, NULL);
  return own;
}

void own_close(struct own *own) {
  if (own == NULL) return;
  close(own->changes);
  pthread_mutex_destroy(&own->lock);
  free(own->addresses);
  free(own);
}

bool own_has(struct own *own, const struct in6_addr *address) {
  pthread_mutex_lock(&own->lock);
  /* Changes first: what comes while the addresses are read is seen the next time. */
  if (has_changed(own)) own->known = false;
  if (!own->known) own->known = read_all(own);
  bool has = !own->known ||
             (own->count > 0 && bsearch(address, own->addresses, own->count, sizeof *address, compare) != NULL);
  pthread_mutex_unlock(&own->lock);
  return has;
}

#include "tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "thread.h"

/* Linux 6.2; the headers of Debian 12 are older. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

struct closing {
  struct closing *next;
  pthread_t thread;
  int fd;
  atomic_bool done;
};

/* 0 or errno. */
static int set_offloads(int fd, bool *udp) {
  unsigned tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  *udp = ioctl(fd, TUNSETOFFLOAD, tcp | TUN_F_USO4 | TUN_F_USO6) == 0;
  return *udp || ioctl(fd, TUNSETOFFLOAD, tcp) == 0 ? 0 : errno;
}

/* -1 with errno set on failure. */
static int open_node(const char *path, const char **step) {
  *step = "open";
  return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

int tun_try(const char *path, const char **step) {
  int fd = open_node(path, step);
  if (fd < 0) return errno;
  *step = "TUNSETIFF";
  struct ifreq request = {0}; /* tun_set_iff (drivers/net/tun.c): neither IFF_TUN nor IFF_TAP is EINVAL, after EPERM */
  int error = ioctl(fd, TUNSETIFF, &request) == 0 || errno == EINVAL ? 0 : errno;
  close(fd);
  return error;
}

int tun_open(const char *path, const char *name, bool packet_information, char chosen[IFNAMSIZ], bool *udp,
             const char **step) {
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_TUN_EXCL | IFF_VNET_HDR};
  if (!packet_information) request.ifr_flags |= IFF_NO_PI;
  *step = "TUNSETIFF";
  if (strlen(name) >= IFNAMSIZ) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(request.ifr_name, name, strlen(name));

  int fd = open_node(path, step);
  if (fd < 0) return -1;
  *step = "TUNSETIFF";
  int error = ioctl(fd, TUNSETIFF, &request) == 0 ? 0 : errno;
  if (error == 0) {
    *step = "TUNSETOFFLOAD";
    error = set_offloads(fd, udp);
  }
  if (error == 0) {
    *step = "TUNSETCARRIER";
    error = tun_set_carrier(fd, false);
  }
  if (error != 0) {
    close(fd);
    errno = error;
    return -1;
  }
  memcpy(chosen, request.ifr_name, IFNAMSIZ);
  chosen[IFNAMSIZ - 1] = '\0';
  return fd;
}

static void *run_close(void *argument) {
  struct closing *closing = argument;
  close(closing->fd);
  atomic_store(&closing->done, true);
  return NULL;
}

void tun_close(struct closing **list, int fd, unsigned ifindex) {
  struct closing *closing = malloc(sizeof *closing);
  if (closing == NULL) {
    close(fd);
    return;
  }
  closing->fd = fd;
  atomic_init(&closing->done, false);
  if (thread_start(&closing->thread, "cryonet-close", run_close, closing) != 0) {
    free(closing);
    close(fd);
    return;
  }
  closing->next = *list;
  *list = closing;
  char name[IFNAMSIZ];
  while (!atomic_load(&closing->done) && if_indextoname(ifindex, name) != NULL) usleep(50);
}

void tun_join(struct closing **list, bool all) {
  while (*list != NULL) {
    struct closing *closing = *list;
    if (all || atomic_load(&closing->done)) {
      *list = closing->next;
      pthread_join(closing->thread, NULL);
      free(closing);
    } else {
      list = &closing->next;
    }
  }
}

int tun_set_carrier(int fd, bool up) {
  int carrier = up;
  return ioctl(fd, TUNSETCARRIER, &carrier) == 0 ? 0 : errno;
}

#include "poller.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "busy_poll.h"
#include "ring.h"
#include "thread.h"

/* Bytes from one device before the next has its turn: a tenth of a millisecond of a fast link. */
#define BURST (256 * 1024)
#define EVENTS 64
/* Room in the ring for whatever one read may yield: 64 KiB in pieces, with what a record adds to each. */
#define RING_ROOM (96u * 1024u)

struct device {
  struct ring ring;
  struct poller *poller;
  struct device *next; /* among the poller's devices, then among its retired */
  pthread_mutex_t lock; /* held by the thread for a burst; guards fd, dead and epoll's view of them */
  int fd;               /* -1 once removed */
  bool pi;
  bool dead; /* the kernel's device is gone */
  struct outlet *outlet;
  atomic_bool armed;    /* in the epoll set; cleared by the thread only, set under the lock */
  atomic_bool paused;
  atomic_bool closing;
  _Atomic uint32_t limit;
};

struct poller {
  void (*bell)(void *context);
  void *context;
  int epoll;
  int wake; /* eventfd: there is something to free, or to stop */
  pthread_t thread;
  atomic_bool rung;
  struct device *devices; /* owner's */
  pthread_mutex_t lock;   /* guards retired and stopping */
  struct device *retired;
  bool stopping;
  /* The thread's: what was read last, room for its struct tun_pi before, and one byte to tell what is too long. */
  uint8_t buffer[POLLER_PI + SEGMENT_MAX + 1];
};

static void free_devices(struct device *device) {
  while (device != NULL) {
    struct device *next = device->next;
    pthread_mutex_destroy(&device->lock);
    ring_close(&device->ring);
    free(device);
    device = next;
  }
}

/* Under the device's lock. */
static bool has_room(struct device *device) {
  struct outlet *outlet = device->outlet;
  return outlet != NULL && (!outlet->waits(outlet) || ring_fits(&device->ring, RING_ROOM));
}

/* Under the device's lock. */
static int arm(struct device *device) {
  if (atomic_load(&device->armed) || device->dead || device->fd < 0 || atomic_load(&device->paused)) return 0;
  if (!has_room(device)) return 0;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = device};
  if (epoll_ctl(device->poller->epoll, EPOLL_CTL_ADD, device->fd, &event) != 0) return errno;
  atomic_store(&device->armed, true);
  return 0;
}

/* Under the device's lock, on the thread. The owner may have made room, or resumed, between the thread's look and
 * the flag being cleared, and then saw the flag still set and left the arming to us. */
static void disarm(struct device *device) {
  epoll_ctl(device->poller->epoll, EPOLL_CTL_DEL, device->fd, NULL);
  atomic_store(&device->armed, false);
  arm(device);
}

/* Whether anything entered the ring. */
static bool fill_ring(struct device *device, const uint8_t *pi, struct segment_cut *cut) {
  bool got = false;
  struct outlet *outlet = device->outlet;
  uint32_t longest = (pi == NULL ? 0 : POLLER_PI) + segment_largest(cut);
  uint32_t left = segment_pieces(cut);
  for (; left > 0 && longest <= atomic_load(&device->limit); left--) {
    uint8_t *slot = ring_reserve(&device->ring, longest + outlet->adds);
    if (slot == NULL) break;
    uint32_t length = outlet->seal(outlet, slot, pi, cut);
    if (length == 0) continue;
    ring_commit(&device->ring, length);
    got = true;
  }
  if (left > 0) outlet->dropped(outlet, left);
  return got;
}

/* Whether there are new packets for the owner. */
static bool read_burst(struct device *device) {
  bool got = false;
  uint8_t pi[POLLER_PI];
  struct virtio_net_hdr header;
  uint8_t *packet = device->poller->buffer + POLLER_PI;
  struct iovec parts[] = {{pi, sizeof pi}, {&header, sizeof header}, {packet, SEGMENT_MAX + 1}};
  const struct iovec *first = device->pi ? &parts[0] : &parts[1];
  int count = device->pi ? 3 : 2;
  ssize_t before = (ssize_t)(sizeof header + (device->pi ? sizeof pi : 0));
  if (atomic_load(&device->closing)) return false;
  pthread_mutex_lock(&device->lock);
  for (ssize_t read = 0; read < BURST && device->fd >= 0;) {
    if (atomic_load(&device->paused) || !has_room(device)) {
      disarm(device);
      break;
    }
    ssize_t length = readv(device->fd, first, count);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0 && errno == EAGAIN) break;
    if (length <= 0) {
      device->dead = true;
      disarm(device);
      break;
    }
    read += length;
    struct segment_cut cut;
    length -= before;
    if (length <= 0 || length > (ssize_t)SEGMENT_MAX) continue;
    if (!segment_begin(&cut, &header, packet, (size_t)length)) continue;
    const uint8_t *prefix = device->pi ? pi : NULL;
    if (device->outlet->send(device->outlet, prefix, &cut)) continue;
    got = fill_ring(device, prefix, &cut) || got;
  }
  if (device->outlet != NULL) device->outlet->flush(device->outlet);
  pthread_mutex_unlock(&device->lock);
  return got;
}

struct ready {
  int epoll;
  struct epoll_event events[EVENTS];
};

static int look(void *context, int timeout) {
  struct ready *ready = context;
  return epoll_wait(ready->epoll, ready->events, EVENTS, timeout);
}

static void *run(void *argument) {
  struct poller *poller = argument;
  struct ready ready = {.epoll = poller->epoll};
  struct busy_poll busy = {0};
  for (;;) {
    int count = busy_poll_wait(&busy, look, &ready);
    bool woken = false;
    for (int i = 0; i < count; i++) {
      struct device *device = ready.events[i].data.ptr;
      if (device == NULL) {
        woken = true;
      } else if (read_burst(device) && !atomic_exchange(&poller->rung, true)) {
        poller->bell(poller->context);
      }
    }
    if (!woken) continue;
    /* None of the events above is used after this, so what was removed meanwhile may go. */
    uint64_t wakes;
    while (read(poller->wake, &wakes, sizeof wakes) < 0 && errno == EINTR) {
    }
    pthread_mutex_lock(&poller->lock);
    struct device *retired = poller->retired;
    poller->retired = NULL;
    bool stopping = poller->stopping;
    pthread_mutex_unlock(&poller->lock);
    free_devices(retired);
    if (stopping) return NULL;
  }
}

static void free_poller(struct poller *poller) {
  if (poller->epoll >= 0) close(poller->epoll);
  if (poller->wake >= 0) close(poller->wake);
  pthread_mutex_destroy(&poller->lock);
  free(poller);
}

struct poller *poller_start(void (*bell)(void *context), void *context) {
  struct poller *poller = calloc(1, sizeof *poller);
  if (poller == NULL) return NULL;
  poller->bell = bell;
  poller->context = context;
  pthread_mutex_init(&poller->lock, NULL);
  poller->epoll = epoll_create1(EPOLL_CLOEXEC);
  poller->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  int error = 0;
  if (poller->epoll < 0 || poller->wake < 0 ||
      epoll_ctl(poller->epoll, EPOLL_CTL_ADD, poller->wake, &event) != 0) {
    error = errno;
  } else {
    error = thread_start(&poller->thread, "cryonet-tun", run, poller);
  }
  if (error != 0) {
    free_poller(poller);
    errno = error;
    return NULL;
  }
  return poller;
}

void poller_stop(struct poller *poller) {
  pthread_mutex_lock(&poller->lock);
  poller->stopping = true;
  pthread_mutex_unlock(&poller->lock);
  thread_wake(poller->wake);
  pthread_join(poller->thread, NULL);
  free_devices(poller->retired);
  free_poller(poller);
}

bool poller_rest(struct poller *poller) {
  atomic_exchange(&poller->rung, false);
  for (struct device *device = poller->devices; device != NULL; device = device->next) {
    /* Where the flag is set again the thread rang in between, and its bell will be heard. */
    if (!atomic_load(&device->paused) && !ring_empty(&device->ring)) return atomic_exchange(&poller->rung, true);
  }
  return true;
}

struct device *poller_add(struct poller *poller, int fd, bool pi) {
  struct device *device = aligned_alloc(_Alignof(struct device), sizeof *device);
  if (device == NULL) return NULL;
  if (!ring_open(&device->ring)) {
    free(device);
    errno = ENOMEM;
    return NULL;
  }
  device->poller = poller;
  device->fd = fd;
  device->pi = pi;
  device->dead = false;
  device->outlet = NULL;
  atomic_init(&device->armed, false);
  atomic_init(&device->paused, true);
  atomic_init(&device->closing, false);
  atomic_init(&device->limit, 0);
  pthread_mutex_init(&device->lock, NULL);
  device->next = poller->devices;
  poller->devices = device;
  return device;
}

int poller_remove(struct poller *poller, struct device *device) {
  struct device **link = &poller->devices;
  while (*link != device) link = &(*link)->next;
  *link = device->next;

  /* The flag keeps a busy thread from taking the lock again before us. */
  atomic_store(&device->closing, true);
  pthread_mutex_lock(&device->lock);
  if (atomic_load(&device->armed)) epoll_ctl(poller->epoll, EPOLL_CTL_DEL, device->fd, NULL);
  int fd = device->fd;
  device->fd = -1;
  pthread_mutex_unlock(&device->lock);

  pthread_mutex_lock(&poller->lock);
  device->next = poller->retired;
  poller->retired = device;
  pthread_mutex_unlock(&poller->lock);
  thread_wake(poller->wake);
  return fd;
}

int device_fd(const struct device *device) { return device->fd; }

void device_set_outlet(struct device *device, struct outlet *outlet) {
  pthread_mutex_lock(&device->lock);
  device->outlet = outlet;
  arm(device);
  pthread_mutex_unlock(&device->lock);
}

void device_raise_limit(struct device *device, uint32_t bytes) {
  if (bytes > atomic_load(&device->limit)) atomic_store(&device->limit, bytes);
}

void device_pause(struct device *device) { atomic_store(&device->paused, true); }

static int rearm(struct device *device) {
  if (atomic_load(&device->armed)) return 0;
  pthread_mutex_lock(&device->lock);
  int error = arm(device);
  pthread_mutex_unlock(&device->lock);
  return error;
}

int device_resume(struct device *device) {
  atomic_store(&device->paused, false);
  return rearm(device);
}

uint32_t device_peek(struct device *device, uint32_t packets, const uint8_t **bytes) {
  return ring_run(&device->ring, packets, bytes);
}

void device_release(struct device *device, uint32_t bytes) {
  ring_release(&device->ring, bytes);
  rearm(device);
}

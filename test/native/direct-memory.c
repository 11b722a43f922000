/*
 * What the engine takes of memory, OpenSSL's part included: nothing for each packet, probe or forgery, and so much for
 * each link and keypair. Every allocation of the process is counted here, so without sanitizers. Exits 0 after printing
 * the bytes of a link and of a keypair.
 */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "direct-flow.h"
#include "direct-lab.h"
#include "probe.h"

#define LINKS 200u
#define TURNS 400u
/* Packets of one super-packet, and bytes of each. */
#define TOGETHER 40u
#define PAYLOAD 1400u

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

static atomic_ullong allocations;
static atomic_llong bytes_live;

static void *counted(void *memory) {
  allocations++;
  if (memory != NULL) bytes_live += (long long)malloc_usable_size(memory);
  return memory;
}

void *malloc(size_t size) { return counted(__libc_malloc(size)); }
void *calloc(size_t count, size_t size) { return counted(__libc_calloc(count, size)); }
void *aligned_alloc(size_t alignment, size_t size) { return counted(__libc_memalign(alignment, size)); }
void *memalign(size_t alignment, size_t size) { return counted(__libc_memalign(alignment, size)); }

int posix_memalign(void **memory, size_t alignment, size_t size) {
  *memory = counted(__libc_memalign(alignment, size));
  return *memory == NULL ? ENOMEM : 0;
}

void *realloc(void *memory, size_t size) {
  if (memory != NULL) bytes_live -= (long long)malloc_usable_size(memory);
  return counted(__libc_realloc(memory, size));
}

void free(void *memory) {
  if (memory != NULL) bytes_live -= (long long)malloc_usable_size(memory);
  __libc_free(memory);
}

static struct node nodes[2];
static struct end ends[2];
static struct keypair *keypairs[2];
static uint32_t arrived;

static void take(void *context, uint16_t port, uint32_t number) {
  (void)context;
  expect("flow", port, 1);
  expect("number", number, arrived++);
}

static void expect_event(enum event_type type) {
  struct event event;
  if (!events_take(&nodes[0].direct->events, &event)) fail("events", 0, 1);
  expect("type of event", event.type, type);
}

static bool has_event(void *context) {
  (void)context;
  pthread_mutex_lock(&nodes[0].direct->events.lock);
  bool any = nodes[0].direct->events.count > 0;
  pthread_mutex_unlock(&nodes[0].direct->events.lock);
  return any;
}

/* Super-packets, single ones, probes, and what is forged or of nobody. */
static void exchange(unsigned turns) {
  static struct flow flow = {.port = 1, .tcp = true};
  static uint8_t bytes[FLOW_ROOM];
  for (unsigned i = 0; i < turns; i++) {
    size_t length = flow_write(&flow, bytes, false, i % 3 == 0 ? 1 : TOGETHER, PAYLOAD, PAYLOAD);
    if (send(ends[0].far, bytes, length, 0) != (ssize_t)length) fail("send", (uint64_t)errno, 0);
    while (arrived < flow.next) flow_read(bytes, await_far(&ends[1], bytes, sizeof bytes), false, true, take, NULL);
    struct endpoint to = node_endpoint(&nodes[0], nodes[1].port);
    uint8_t forged[RECORD_OVERHEAD + 100] = {0xc0, 0, 0, 0, 0, 0, 0, (uint8_t)(i % 2 + 1), 0xff};
    ssize_t sent = sendto(nodes[0].ice, forged, sizeof forged, 0, (struct sockaddr *)&to.address, to.length);
    expect("bytes of a forgery", (uint64_t)sent, sizeof forged);
    if (!probe_send(keypairs[0], i, 1000)) fail("probe_send", 0, 1);
    await("an answer", has_event, NULL);
    expect_event(EVENT_REPLY);
  }
}

static long resident(void) {
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%*d %ld", &pages) != 1) fail("statm", 0, 1);
  fclose(file);
  return pages * sysconf(_SC_PAGESIZE);
}

static void check_traffic(void) {
  for (unsigned i = 0; i < 2; i++) end_open(&ends[i], &nodes[i], false, nodes[1 - i].port);
  for (unsigned i = 0; i < 2; i++) keypairs[i] = add_keypair(&ends[i], 1, 1, 1, i == 0);
  link_use(ends[0].link, keypairs[0]);
  if (!probe_send(keypairs[0], 0, 0)) fail("probe_send", 0, 1);
  await("an answer", has_event, NULL);
  expect_event(EVENT_HEARD);
  await("an answer", has_event, NULL);
  expect_event(EVENT_REPLY);
  exchange(10); /* OpenSSL has state for each thread, made with the first record there */
  uint64_t before = allocations;
  exchange(TURNS);
  expect("allocations under traffic", allocations, before);
  for (unsigned i = 0; i < 2; i++) end_close(&ends[i]);
}

static void measure(void) {
  static struct end idle[LINKS];
  long long live = bytes_live;
  long touched = resident();
  for (unsigned i = 0; i < LINKS; i++) end_open(&idle[i], &nodes[0], false, nodes[1].port);
  long long link = (bytes_live - live) / LINKS;
  live = bytes_live;
  for (unsigned i = 0; i < LINKS; i++) add_keypair(&idle[i], i + 1, i + 1, 2, true);
  long long keypair = (bytes_live - live) / LINKS;
  touched = (resident() - touched) / LINKS;
  printf("link %lld keypair %lld resident %ld\n", link, keypair, touched);
  for (unsigned i = 0; i < LINKS; i++) end_close(&idle[i]);
}

int main(void) {
  for (unsigned i = 0; i < 2; i++) node_open(&nodes[i], "127.0.0.1", 1);
  check_traffic();
  measure();
  for (unsigned i = 0; i < 2; i++) node_close(&nodes[i]);
  return 0;
}

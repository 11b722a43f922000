/*
 * Which of its addresses a machine with several answers from. Exits 0 when every record left from where the peer's came
 * to, and from another one where that was none of the machine's any more.
 *
 *   direct-source <address of the peer> <any address> <one of ours> <another> <one that is not ours>
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "direct-flow.h"
#include "direct-lab.h"
#include "probe.h"
#include "roaming.h"

#define INDEX 0x100u

static struct node peer;
static struct node host; /* at every address of the machine */
static struct end there;
static struct end here;
static struct keypair *from_there;
static struct keypair *from_here;
static struct flow flow = {.port = 1};
static uint32_t probes;

static void check_far(const struct end *end, const char *address) {
  char text[64];
  struct ends ends = link_ends(end->link);
  endpoint_text(&ends.far, text);
  if (strcmp(text, address) != 0) {
    fprintf(stderr, "%s, not %s: ", text, address);
    fail("other end", 0, 1);
  }
}

static void check_own(const char *address) {
  char text[64];
  struct ends ends = link_ends(here.link);
  own_address_text(&ends.own, text);
  if (strcmp(text, address) != 0) {
    fprintf(stderr, "\"%s\", not \"%s\": ", text, address);
    fail("own address", 0, 1);
  }
}

static void check_not_own(const char *address) {
  char text[64];
  struct ends ends = link_ends(here.link);
  own_address_text(&ends.own, text);
  if (strcmp(text, address) == 0) fail("own address that is gone", 0, 1);
}

static struct own_address own(const char *address) {
  struct own_address own = {0};
  struct endpoint endpoint;
  bool ipv4 = strchr(address, ':') == NULL;
  if (!outer_endpoint(&host.direct->outer, address, 1, &endpoint)) fail(address, 0, 1);
  const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)&endpoint.address;
  if (endpoint.address.ss_family == AF_INET6) own.address = ipv6->sin6_addr;
  else if (ipv4) {
    own.address.s6_addr[10] = own.address.s6_addr[11] = 0xff;
    memcpy(&own.address.s6_addr[12], &((const struct sockaddr_in *)&endpoint.address)->sin_addr, 4);
  }
  return own;
}

static void set_own(const char *address, uint64_t since) {
  pthread_mutex_lock(&here.link->lock);
  here.link->own = own(address);
  here.link->own_since = since;
  pthread_mutex_unlock(&here.link->lock);
}

static void send_to(const char *address) {
  struct endpoint endpoint;
  if (!outer_endpoint(&peer.direct->outer, address, host.port, &endpoint)) fail(address, 0, 1);
  link_set_endpoint(there.link, &endpoint);
}

struct answer {
  struct node *node;
  uint32_t number;
};

static bool is_answered(void *context) {
  struct answer *answer = context;
  struct event event;
  while (events_take(&answer->node->direct->events, &event)) {
    if (event.type == EVENT_REPLY && event.number == answer->number) return true;
  }
  return false;
}

/* A probe, and its answer. */
static void probe(struct keypair *keypair, struct node *node) {
  struct answer answer = {node, ++probes};
  expect("probe_send", probe_send(keypair, probes, 0), 1);
  await("an answer", is_answered, &answer);
  node_settle(&peer);
  node_settle(&host);
}

static void take(void *context, uint16_t port, uint32_t number) {
  expect("flow", port, flow.port);
  *(uint32_t *)context = number;
}

static bool is_counted(void *context) {
  (void)context;
  return end_count(&here, COUNTER_TX_PACKETS) == flow.next;
}

/* Packets of both kinds: several in one call, and one. */
static void send_packets(uint32_t packets) {
  static uint8_t bytes[FLOW_ROOM];
  uint32_t last = UINT32_MAX;
  size_t length = flow_write(&flow, bytes, false, packets, 500, 500);
  expect("bytes to the device", (uint64_t)send(here.far, bytes, length, 0), length);
  while (last != flow.next - 1) flow_read(bytes, await_far(&there, bytes, sizeof bytes), false, true, take, &last);
  await("packets counted", is_counted, NULL);
  node_settle(&peer);
}

int main(int count, char **words) {
  if (count != 6) fail("words", (uint64_t)count, 6);
  const char *peers = words[1], *first = words[3], *second = words[4], *gone = words[5];
  node_open(&peer, peers, 1);
  node_open(&host, words[2], 1);
  end_open(&there, &peer, false, host.port);
  end_open(&here, &host, false, peer.port);
  from_there = add_keypair(&there, INDEX, INDEX, 0, true);
  from_here = add_keypair(&here, INDEX, INDEX, 0, false);
  struct endpoint endpoint;
  if (!outer_endpoint(&host.direct->outer, peers, peer.port, &endpoint)) fail(peers, 0, 1);
  link_set_endpoint(here.link, &endpoint);
  link_use(here.link, from_here);
  check_own("");

  /* Answers, probes and packets leave from where the first record came to. */
  send_to(first);
  probe(from_there, &peer);
  check_own(first);
  check_far(&there, first);
  probe(from_here, &host);
  send_packets(1);
  send_packets(40);
  check_far(&there, first);

  /* An answer leaves from where its probe came to, and what follows from there as before: for a while. */
  send_to(second);
  probe(from_there, &peer);
  check_far(&there, second);
  check_own(first);
  set_own(first, 0);
  probe(from_there, &peer);
  check_own(second);
  send_packets(40);
  check_far(&there, second);

  /* The kernel chooses where the address is not ours any more. */
  for (uint32_t packets = 1; packets <= 40; packets += 39) {
    set_own(gone, 0);
    send_packets(packets);
    check_not_own(gone); /* none, or that at which the peer asked for us */
    expect("packets refused", end_count(&here, COUNTER_TX_REFUSED) + end_count(&here, COUNTER_TX_TOO_LONG), 0);
  }
  set_own(gone, 0);
  probe(from_here, &host);
  check_own(strncmp(peers, "::ffff:", 7) == 0 ? peers + 7 : peers); /* its answer came to what the kernel chose */

  /* And where the owner says so, for a while, though the peer's records come to the address before. */
  roaming_forget_own(here.link);
  check_own("");
  send_to(second);
  probe(from_there, &peer);
  check_own("");
  pthread_mutex_lock(&here.link->lock);
  here.link->own_since = 0;
  pthread_mutex_unlock(&here.link->lock);
  send_to(second); /* the peer may have followed what the kernel chose meanwhile */
  probe(from_there, &peer);
  check_own(second);
  link_use(here.link, NULL);
  end_close(&there);
  end_close(&here);
  node_close(&peer);
  node_close(&host);
  puts("every record from where it belongs");
  return 0;
}

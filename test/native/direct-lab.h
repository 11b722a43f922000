/*
 * Nodes without Node, for programs that run the engine of direct paths for real: UDP over loopback, and pairs of
 * sockets that keep packet borders in place of TUN devices.
 *
 *   host ──far──▶ device │ node │ ──UDP──▶ │ node │ device ──far──▶ host
 */
#ifndef CRYONET_DIRECT_LAB_H
#define CRYONET_DIRECT_LAB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "direct.h"

/* Milliseconds within which whatever is waited for has to come. */
#define PATIENCE 20000

struct node {
  const char *address; /* numeric, of loopback */
  int ice;             /* stands for ICE's socket */
  uint16_t port;
  unsigned dscp; /* set before it is opened */
  struct poller *poller;
  struct direct *direct;
  atomic_uint bells;
};

/* One end of a link. */
struct end {
  struct node *node;
  struct device *device;
  struct link *link;
  bool pi;
  int far; /* blocks, with PATIENCE */
};

_Noreturn void fail(const char *what, uint64_t got, uint64_t expected);
void expect(const char *what, uint64_t got, uint64_t expected);

/* A UDP socket at a port of its own, which blocks no longer than PATIENCE. */
int open_udp(const char *address, uint16_t *port);

void node_open(struct node *node, const char *address, unsigned workers);
void node_close(struct node *node);
/* Returns when its receivers have counted what they wrote before. */
void node_settle(struct node *node);
/* Where the node's own sockets find `port` of loopback. */
struct endpoint node_endpoint(const struct node *node, uint16_t port);

/* A link over which packets of any length fit, to `port`. */
void end_open(struct end *end, struct node *node, bool pi, uint16_t port);
void end_close(struct end *end);
/* Seals no more, and everything sealed is counted. */
void end_rest(struct end *end);
uint64_t end_count(const struct end *end, enum link_counter which);
uint16_t end_port(const struct end *end);

/* The same keys at both ends, each end's for sending the other's for receiving. */
struct keypair *add_keypair(struct end *end, uint32_t index, uint32_t peer_index, uint8_t generation, bool first);

/* Waits until `holds` does, or fails. */
void await(const char *what, bool (*holds)(void *context), void *context);
/* Reads what the engine wrote to a device, or 0 where that is nothing so far. */
size_t read_far(const struct end *end, uint8_t *bytes, size_t room);
/* Waits for it. */
size_t await_far(const struct end *end, uint8_t *bytes, size_t room);

/* Opens what a keypair of that generation seals, at its first end or at the other. The caller's to free. */
struct record_key *opening_key(uint8_t generation, bool first);

#endif

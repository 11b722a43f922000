/*
 * The UDP sockets beside ICE's own. A node has one UDP port: records go to the same address that ICE found a way to.
 * Sockets of ours share it by SO_REUSEPORT, and a classic BPF program picks by the first byte of the payload:
 *
 *   ≥ 192          ours; which of them, by the low byte of the receiver index
 *   anything else  ICE's: STUN, DTLS, TURN, RTP (RFC 7983)
 *
 * ICE's socket is found among this process's descriptors. It has to have the port already, and keeps its own settings
 * but for SO_REUSEPORT, the program, and SO_MARK.
 */
#ifndef CRYONET_OUTER_H
#define CRYONET_OUTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define OUTER_MAX 16u

/* One IPv6 or IPv4 address and port, as this process's sockets take it. */
struct endpoint {
  struct sockaddr_storage address;
  socklen_t length;
};

struct outer {
  int family;     /* AF_INET6: both families by one socket, IPv4 as mapped addresses */
  unsigned count; /* of receivers */
  int sockets[OUTER_MAX]; /* the first `count` receive; the others only make GRO likelier to look at ours */
};

/* Opens `receivers` sockets on ICE's port. `mark` 0: none. Returns 0, or errno with `step` naming what the kernel
 * refused; nothing is left open then. */
int outer_open(struct outer *outer, uint16_t port, unsigned receivers, uint32_t mark, const char **step);
/* Gives ICE its port back. */
void outer_close(struct outer *outer);

/* Sets SO_MARK on every UDP socket of this process that does not have it. 0 or errno. */
int outer_mark(uint32_t mark);

/* The endpoint for a numeric address, as a socket of `outer` takes it. False where it is none, or of a family that the
 * socket has not. */
bool outer_endpoint(const struct outer *outer, const char *address, uint16_t port, struct endpoint *endpoint);
/* Which of them gets records of this receiver index. */
static inline unsigned outer_receiver(const struct outer *outer, uint32_t index) {
  return (index & 0xffu) % outer->count;
}
bool endpoint_is_ipv4(const struct endpoint *endpoint);
bool endpoint_equals(const struct endpoint *a, const struct endpoint *b);
/* Bytes of IP and UDP header in front of a record to it. */
uint32_t endpoint_overhead(const struct endpoint *endpoint);
/* The address that this host sends from to `to`, by its routes at this moment, as `endpoint_text` has it. Sends nothing.
 * False where there is no way. */
bool outer_source(const struct outer *outer, const struct endpoint *to, char text[64]);
/* "address" without port in `text`, an IPv4 address as such; returns the port. */
uint16_t endpoint_text(const struct endpoint *endpoint, char text[64]);

#endif

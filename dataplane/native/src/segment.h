/*
 * Cuts what the kernel hands to a TUN device with offloads (TUNSETOFFLOAD) into packets as they go over a wire: the
 * same that the kernel's own segmentation makes (net/ipv4/tcp_offload.c, net/ipv4/udp_offload.c, net/ipv6). TCP and
 * UDP (VIRTIO_NET_HDR_GSO_UDP_L4), each over IPv4 and IPv6 with options and extension headers; checksums completed;
 * IPv4 identification counted up; FIN and PSH on the last piece only, CWR on the first only.
 *
 * A packet without segmentation comes out as one piece, its checksum completed where the kernel left that to us
 * (VIRTIO_NET_HDR_F_NEEDS_CSUM). It may be anything then, MPLS say.
 *
 * Pure: no allocation, no system call. The header is in host order (the legacy layout; linux/virtio_net.h).
 */
#ifndef CRYONET_SEGMENT_H
#define CRYONET_SEGMENT_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest packet that the kernel hands over, and longest that segment_next writes. */
#define SEGMENT_MAX 65535u

/* A packet being cut. Only segment.c looks inside. */
struct segment_cut {
  uint8_t *packet;
  uint32_t length;
  uint32_t header;        /* bytes before the payload, repeated in each piece; 0 where there is one piece only */
  uint32_t payload;       /* bytes of payload in each piece but the last */
  uint32_t at;            /* bytes of payload written so far */
  uint32_t transport;     /* where the TCP or UDP header begins */
  uint32_t sequence;      /* TCP: of the first piece */
  uint16_t identification;
  uint8_t flags;          /* TCP: all that some piece has */
  bool ipv6;
  bool udp;
  bool partial;           /* checksums are left to others */
  uint64_t network_sum;   /* over what is the same in each IPv4 header */
  uint64_t pseudo_sum;    /* over the pseudo-header less its length */
  uint64_t transport_sum; /* over what is the same in each TCP or UDP header */
};

/* Begins to cut `packet`, whose memory is the cut's own until the last piece is done with: nothing is copied but headers.
 * False for one that contradicts its header: it is to be dropped. */
bool segment_begin(struct segment_cut *cut, const struct virtio_net_hdr *header, uint8_t *packet, size_t length);
uint32_t segment_pieces(const struct segment_cut *cut);
/* Bytes of the longest piece: every piece has this length but the last, which may be shorter. */
uint32_t segment_largest(const struct segment_cut *cut);
/* Before the first piece: its TCP or UDP checksum, and that of all others, is left to who can do it for less. The field
 * holds the folded sum over the pseudo-header then, as in what the kernel hands over. False, and nothing changes, for one
 * piece only, and where options or extension headers lie before the transport header. */
bool segment_leave_sums(struct segment_cut *cut);
/* The next piece, whole until the next call, and its length, or 0 after the last. It lies in the packet's memory: what
 * comes before it there has been used up, and may be overwritten. */
uint32_t segment_next(struct segment_cut *cut, uint8_t **piece);

#endif

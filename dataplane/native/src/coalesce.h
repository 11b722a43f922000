/*
 * Joins packets of a flow that follow each other into the super-packets that a TUN device with IFF_VNET_HDR takes in
 * one write, by the rules of the kernel's GRO (net/ipv4/tcp_offload.c, net/ipv4/udp_offload.c), and stricter: what is
 * written, cut again by segment.h, is byte for byte what was added. So a packet is joined only where its checksums are
 * right, its IPv4 identification is the next one, its options are those of the first, and so on; everything else passes
 * unchanged, and no packet overtakes another of its flow. Checksums that were left out are left to the kernel.
 *
 *   coalesce_add, coalesce_add, …   remembers the packets, which stay the caller's and must not move or change
 *   coalesce_flush                  writes them all
 *
 * Nothing is copied: a super-packet is written as the first packet, then the payloads of the others.
 * Pure: no system call, and no allocation but coalesce_new.
 */
#ifndef CRYONET_COALESCE_H
#define CRYONET_COALESCE_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4 /* the headers of Debian 12 are from before 6.2 */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

struct coalesce;

struct coalesce_options {
  bool tcp;                /* packets of TCP may be joined */
  bool udp;                /* those of UDP: the kernel takes VIRTIO_NET_HDR_GSO_UDP_L4 (6.2 and later) */
  bool packet_information; /* every packet begins with struct tun_pi (linux/if_tun.h) */
  bool partial;            /* this packet's TCP or UDP checksum was left out: segment_leave_sums */
};

/* NULL without memory. */
struct coalesce *coalesce_new(void);
void coalesce_free(struct coalesce *coalesce);

/* False where it is full: flush, and add again. Never false for the first packet after a flush.
 * `packet_information` is the same until the next flush. */
bool coalesce_add(struct coalesce *coalesce, uint8_t *packet, size_t length, struct coalesce_options options);

/* Calls `write` for each packet or super-packet; at most 1024 parts. The parts in order: struct tun_pi where packets
 * have it, struct virtio_net_hdr, the bytes of the packet. `packets` is how many were joined in it. Where that was more
 * than one and `write` gives false, it is called for each of them alone, in the same place. Headers of the added packets
 * are overwritten. */
void coalesce_flush(struct coalesce *coalesce,
                    bool (*write)(void *context, const struct iovec *parts, int count, unsigned packets), void *context);

#endif

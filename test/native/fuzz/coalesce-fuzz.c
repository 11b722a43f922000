/*
 * coalesce.h on packets that the input describes: whatever is added comes out byte for byte once segment.h has cut
 * what was written, as often as it was added, and nothing overtakes what may be of its flow.
 *
 * The input is a byte of options (1: UDP, 2: packet information, 4: checksums are left out where they can be), then a recipe for each packet: a byte says of which
 * of 8 flows it is, one what it is like (`recipe`), one how long its payload is (`size_of`); what it is like may take
 * more bytes.
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coalesce.h"
#include "segment.h"

#define PACKETS 16u
#define FLOWS 8u
#define HEADERS 72u
#define PARTS 1024
#define INFORMATION 4u
/* Eight of them are more than a super-packet holds. */
#define LONG_PAYLOAD 8200u
#define LONGEST (INFORMATION + HEADERS + LONG_PAYLOAD)

/* For what runs for each byte and finds no new way: recorded, it would take most of the time. */
#define UNRECORDED __attribute__((no_sanitize("coverage")))

struct input {
  const uint8_t *bytes;
  size_t left;
};

/* The headers of a flow's next packet; kinds take turns: TCP over IPv4, over IPv6, UDP over IPv4, over IPv6. */
struct flow {
  uint8_t headers[HEADERS];
  uint32_t length;
  uint32_t transport;
  bool ipv6;
  bool udp;
};

struct identity {
  bool known;
  bool ported;
  uint8_t length;
  uint8_t addresses[32];
  uint64_t ports;
};

struct packet {
  uint8_t *added; /* memory of its own, so that AddressSanitizer sees what is read beside it */
  uint8_t copy[LONGEST];
  size_t length;
  struct identity identity;
  bool partial; /* `added` has a sum over the pseudo-header in place of the checksum in `copy` */
  bool written;
};

static struct packet packets[PACKETS];
static uint32_t count;
static bool information;
static bool leaving;
static bool refusing; /* the kernel takes no super-packet */

static void fail(const char *what) {
  fprintf(stderr, "%s\n", what);
  abort();
}

static uint8_t next(struct input *input) {
  if (input->left == 0) return 0;
  input->left--;
  return *input->bytes++;
}

UNRECORDED static uint32_t get(const uint8_t *at, int bytes) {
  uint32_t value = 0;
  for (int i = 0; i < bytes; i++) value = value << 8 | at[i];
  return value;
}

UNRECORDED static void set(uint8_t *at, int bytes, uint32_t value) {
  for (int i = bytes; i-- > 0; value >>= 8) at[i] = (uint8_t)value;
}

UNRECORDED static uint32_t sum(uint32_t total, const uint8_t *bytes, size_t length) {
  for (size_t i = 0; i < length; i++) total += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
  while (total > 0xffff) total = (total & 0xffff) + (total >> 16);
  return total;
}

static void start(struct flow *flow, uint32_t number) {
  bool ipv6 = number % 2 == 1;
  bool udp = number % 4 >= 2;
  uint32_t ip = ipv6 ? 40 : 20;
  *flow = (struct flow){.length = ip + (udp ? 8 : 32), .transport = ip, .ipv6 = ipv6, .udp = udp};
  uint8_t *headers = flow->headers;
  headers[0] = ipv6 ? 0x60 : 0x45;
  headers[ipv6 ? 6 : 9] = udp ? 17 : 6;
  headers[ipv6 ? 7 : 8] = 64;
  set(headers + 4, 2, ipv6 ? 0 : 0xfffc);
  memset(headers + (ipv6 ? 8 : 12), 7, ipv6 ? 32 : 8);
  uint8_t *transport = headers + ip;
  transport[0] = (uint8_t)number;
  if (udp) return;
  set(transport + 4, 4, 0xfffffff0);
  transport[12] = 0x80;
  transport[13] = 0x10;
  transport[20] = transport[21] = 1;
  transport[22] = 8;
  transport[23] = 10;
}

static uint32_t size_of(const struct flow *flow, uint8_t byte) {
  if (byte < 128) return 10 + flow->transport;
  return byte == 255 ? LONG_PAYLOAD : byte % 64;
}

static void complete(const struct flow *flow, uint8_t *packet, uint32_t length) {
  uint8_t *transport = packet + flow->transport;
  uint32_t rest = length - flow->transport;
  set(packet + (flow->ipv6 ? 4 : 2), 2, flow->ipv6 ? rest : length);
  if (flow->udp) set(transport + 4, 2, rest);
  if (!flow->ipv6) {
    set(packet + 10, 2, 0);
    set(packet + 10, 2, ~sum(0, packet, 20));
  }
  uint8_t *field = transport + (flow->udp ? 6 : 16);
  set(field, 2, 0);
  uint32_t total = sum(rest + (flow->udp ? 17 : 6), packet + (flow->ipv6 ? 8 : 12), flow->ipv6 ? 32 : 8);
  uint32_t check = ~sum(total, transport, rest) & 0xffff;
  set(field, 2, flow->udp && check == 0 ? 0xffff : check);
}

static struct identity identify(const uint8_t *packet, size_t added) {
  size_t before = information ? INFORMATION : 0;
  const uint8_t *ip = packet + before;
  size_t length = added < before ? 0 : added - before;
  bool ipv6 = length > 0 && ip[0] >> 4 == 6;
  uint32_t header = ipv6 ? 40 : 20;
  struct identity identity = {0};
  if (length < header || (!ipv6 && ip[0] >> 4 != 4)) return identity;
  if (information && get(packet + 2, 2) != (ipv6 ? 0x86ddu : 0x0800u)) return identity;
  identity.known = true;
  identity.length = ipv6 ? 32 : 8;
  memcpy(identity.addresses, ip + header - identity.length, identity.length);
  uint8_t protocol = ipv6 ? ip[6] : ip[9];
  bool simple = ipv6 || (ip[0] == 0x45 && (get(ip + 6, 2) & 0xbfff) == 0);
  bool whole = get(ip + (ipv6 ? 4 : 2), 2) + (ipv6 ? 40 : 0) == length;
  identity.ported = simple && whole && (protocol == 6 || protocol == 17) && length >= header + 8;
  if (identity.ported) identity.ports = (uint64_t)protocol << 32 | get(ip + header, 4);
  return identity;
}

UNRECORDED static uint32_t pseudo(const uint8_t *ip, bool udp, uint32_t rest) {
  return ip[0] >> 4 == 6 ? sum(rest + (udp ? 17 : 6), ip + 8, 32) : sum(rest + (udp ? 17 : 6), ip + 12, 8);
}

/* As segment_leave_sums allows: leaves the checksum out of a whole packet of a flow, where IPv4's is right, and it is, too,
 * and has one form only. */
static bool leave_out(struct packet *packet) {
  size_t before = information ? INFORMATION : 0;
  if (!packet->identity.ported) return false;
  uint8_t *ip = packet->added + before;
  bool ipv6 = ip[0] >> 4 == 6;
  uint32_t transport = ipv6 ? 40 : 20;
  bool udp = ip[ipv6 ? 6 : 9] == 17;
  uint32_t rest = (uint32_t)(packet->length - before) - transport;
  if (!udp && (rest < 20 || (ip[transport + 12] >> 4) * 4u < 20 || (ip[transport + 12] >> 4) * 4u > rest)) return false;
  if (udp && get(ip + transport + 4, 2) != rest) return false;
  if (!ipv6 && (sum(0, ip, 20) != 0xffff || get(ip + 10, 2) == 0xffff)) return false;
  uint8_t *field = ip + transport + (udp ? 6 : 16);
  uint32_t total = pseudo(ip, udp, rest);
  if (get(field, 2) == 0 || get(field, 2) == 0xffff || sum(total, ip + transport, rest) != 0xffff) return false;
  set(field, 2, total);
  return true;
}

static void keep(const uint8_t *bytes, size_t length) {
  if (count == PACKETS) return;
  struct packet *packet = &packets[count++];
  packet->added = malloc(length);
  packet->length = length;
  packet->identity = identify(bytes, length);
  packet->written = false;
  if (length > 0) memcpy(packet->added, bytes, length);
  if (length > 0) memcpy(packet->copy, bytes, length);
  packet->partial = leaving && leave_out(packet);
}

static void recipe(struct flow *flow, struct input *input) {
  static uint8_t room[LONGEST];
  uint8_t like = next(input);
  uint32_t size = size_of(flow, next(input));
  uint32_t length = flow->length + size;
  uint32_t at = like < 128 ? 0 : next(input);
  uint8_t value = like < 128 ? 0 : next(input);
  uint32_t before = information ? INFORMATION : 0;
  uint8_t *packet = room + before;
  if (like >= 128 && like % 8 == 0) flow->headers[at % flow->length] ^= value;
  set(room, 4, flow->ipv6 ? 0x86dd : 0x0800);
  memcpy(packet, flow->headers, flow->length);
  memset(packet + flow->length, like & 0x7f, size);
  if (like >= 128 && like % 8 == 1) packet[at % length] ^= value;
  complete(flow, packet, length);
  if (like >= 128) {
    if (like % 8 == 2) room[at % (before + length)] ^= value;
    if (like % 8 == 3) length -= value % length;
    if (like % 8 == 4 && !flow->udp) packet[flow->transport + 13] |= 8, complete(flow, packet, length);
    if (like % 8 == 5) keep(room, before + length);
    if (like % 8 == 6) length = flow->transport + value % (length - flow->transport), complete(flow, packet, length);
    if (like % 8 == 7) {
      length = value;
      for (uint32_t i = 0; i < length; i++) packet[i] = next(input);
    }
  }
  keep(room, before + length);
  if (!flow->ipv6) set(flow->headers + 4, 2, get(flow->headers + 4, 2) + 1);
  if (!flow->udp) set(flow->headers + flow->transport + 4, 4, get(flow->headers + flow->transport + 4, 4) + size);
}

UNRECORDED static bool may_be_one(const struct identity *a, const struct identity *b) {
  if (!a->known || !b->known || a->length != b->length) return false;
  if (memcmp(a->addresses, b->addresses, a->length) != 0) return false;
  return !a->ported || !b->ported || a->ports == b->ports;
}

/* Finds the packet among those that were added, and what it has overtaken. */
UNRECORDED static void arrive(const uint8_t *bytes, size_t length) {
  uint32_t at = 0;
  while (at < count && (packets[at].written || packets[at].length != length ||
                        (length > 0 && memcmp(packets[at].copy, bytes, length) != 0)))
    at++;
  if (at == count) fail("this was not added");
  packets[at].written = true;
  for (uint32_t i = 0; i < at; i++) {
    if (!packets[i].written && may_be_one(&packets[i].identity, &packets[at].identity)) fail("overtaken");
  }
}

static bool take(void *context, const struct iovec *parts, int parts_count, unsigned joined) {
  static uint8_t room[INFORMATION + SEGMENT_MAX + 64];
  uint8_t *const start = room + INFORMATION;
  (void)context;
  if (parts_count > PARTS) fail("more parts than writev takes");
  if (refusing && joined > 1) return false;
  int at = information ? 1 : 0;
  size_t before = information ? parts[0].iov_len : 0;
  struct virtio_net_hdr header;
  if (before > INFORMATION || parts[at].iov_len != sizeof header) fail("not these parts");
  memcpy(&header, parts[at].iov_base, sizeof header);
  size_t length = 0;
  for (int i = at + 1; i < parts_count; i++) {
    if (INFORMATION + length + parts[i].iov_len > sizeof room) fail("too long");
    if (parts[i].iov_len > 0) memcpy(start + length, parts[i].iov_base, parts[i].iov_len);
    length += parts[i].iov_len;
  }
  if (joined == 1) {
    struct virtio_net_hdr nothing = {.flags = header.flags, .csum_start = header.csum_start,
                                     .csum_offset = header.csum_offset};
    if (header.flags == 0) nothing = (struct virtio_net_hdr){0};
    if (memcmp(&header, &nothing, sizeof header) != 0) fail("a header that says something");
  }
  if (joined == 1 && header.flags == 0) {
    if (before > 0) memcpy(start - before, parts[0].iov_base, before);
    arrive(start - before, before + length);
    return true;
  }
  struct segment_cut cut;
  if (!segment_begin(&cut, &header, start, length)) fail("cannot be cut");
  uint8_t *piece;
  for (uint32_t size; (size = segment_next(&cut, &piece)) != 0; joined--) {
    if (before > 0) memcpy(piece - before, parts[0].iov_base, before);
    arrive(piece - before, before + size);
  }
  if (joined != 0) fail("another number of pieces");
  return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  static struct coalesce *coalesce;
  if (coalesce == NULL) coalesce = coalesce_new();
  struct input input = {bytes, length};
  struct flow flows[FLOWS];
  for (uint32_t i = 0; i < FLOWS; i++) start(&flows[i], i);
  uint8_t options = next(&input);
  information = (options & 2) != 0;
  leaving = (options & 4) != 0;
  refusing = (options & 8) != 0;
  count = 0;
  while (input.left > 0 && count < PACKETS) recipe(&flows[next(&input) % FLOWS], &input);

  struct coalesce_options how = {.tcp = true, .udp = (options & 1) != 0, .packet_information = information};
  for (uint32_t i = 0; i < count; i++) {
    how.partial = packets[i].partial;
    if (!coalesce_add(coalesce, packets[i].added, packets[i].length, how)) fail("full");
  }
  coalesce_flush(coalesce, take, NULL);
  for (uint32_t i = 0; i < count; i++) {
    if (!packets[i].written) fail("not written");
    free(packets[i].added);
  }
  return 0;
}

/*
 * What the kernel does not take is counted by its cause, packet for packet, and costs the others nothing. Exits 0 when
 * every count was exact.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "coalesce.h"
#include "direct-flow.h"
#include "direct-lab.h"
#include "probe.h"

/* What one UDP datagram over IPv4 takes, less what a record adds: a path as that of loopback. */
#define LONGEST (65535u - 20u - 8u - RECORD_OVERHEAD)
#define PAYLOAD 1000u
#define TOGETHER 40u
#define FIRST_INDEX 0x100u

/* Where the kernel cannot cut: before Linux 6.11, behind an interface that leaves checksums to the sender. */
static _Atomic uint16_t uncut_port;

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  const struct sockaddr_in *to = message->msg_name;
  if (to != NULL && message->msg_controllen > 0 && to->sin_port == htons(uncut_port)) {
    errno = EIO;
    return -1;
  }
  return syscall(SYS_sendmsg, fd, message, flags);
}

/* What the device refuses of what is joined: a type of struct virtio_net_hdr. */
static _Atomic uint8_t refused_type = VIRTIO_NET_HDR_GSO_NONE;

ssize_t writev(int fd, const struct iovec *parts, int count) {
  uint8_t type = VIRTIO_NET_HDR_GSO_NONE;
  for (int i = 0; i < count && i < 2; i++) {
    if (parts[i].iov_len != sizeof(struct virtio_net_hdr)) continue;
    type = ((const struct virtio_net_hdr *)parts[i].iov_base)->gso_type;
    break;
  }
  if (type != VIRTIO_NET_HDR_GSO_NONE && type == refused_type) {
    errno = EINVAL;
    return -1;
  }
  return syscall(SYS_writev, fd, parts, count);
}

struct pair {
  struct end ends[2];
  struct keypair *keypair; /* of the first */
  struct flow flow;
  uint16_t port; /* that its packets arrive with */
  uint32_t next; /* number that comes next at the second */
  bool holes; /* others may come */
};

static struct node nodes[2];
static uint32_t last_index = FIRST_INDEX;

static void open_pair(struct pair *pair, bool pi, bool tcp) {
  *pair = (struct pair){.flow = {.port = 1, .tcp = tcp}, .port = 1};
  uint32_t index = last_index++;
  for (unsigned i = 0; i < 2; i++) {
    end_open(&pair->ends[i], &nodes[i], pi, nodes[1 - i].port);
    struct keypair *keypair = add_keypair(&pair->ends[i], index, index, (uint8_t)index, i == 0);
    if (i == 0) pair->keypair = keypair;
  }
  link_use(pair->ends[0].link, pair->keypair);
}

static void close_pair(struct pair *pair) {
  for (unsigned i = 0; i < 2; i++) end_close(&pair->ends[i]);
}

static void write_packets(struct pair *pair, uint32_t packets, uint32_t payload) {
  static uint8_t bytes[FLOW_ROOM];
  size_t length = flow_write(&pair->flow, bytes, pair->ends[0].pi, packets, payload, payload);
  expect("bytes to the device", (uint64_t)send(pair->ends[0].far, bytes, length, 0), length);
}

static void take(void *context, uint16_t port, uint32_t number) {
  struct pair *pair = context;
  expect("flow", port, pair->port);
  if (number < pair->next || (number > pair->next && !pair->holes)) fail("number", number, pair->next);
  pair->next = number + 1;
}

static void read_packets(struct pair *pair) {
  static uint8_t bytes[FLOW_ROOM];
  while (pair->next < pair->flow.next) {
    size_t length = await_far(&pair->ends[1], bytes, sizeof bytes);
    flow_read(bytes, length, pair->ends[1].pi, true, take, pair);
  }
}

struct awaited {
  const struct end *end;
  uint64_t count;
  unsigned whiches;
  enum link_counter which[3];
};

static bool has_counted(void *context) {
  const struct awaited *awaited = context;
  uint64_t sum = 0;
  for (unsigned i = 0; i < awaited->whiches; i++) sum += end_count(awaited->end, awaited->which[i]);
  return sum >= awaited->count;
}

static void await_count(const struct end *end, enum link_counter which, uint64_t count) {
  struct awaited awaited = {end, count, 1, {which}};
  await("packets counted", has_counted, &awaited);
  expect("packets counted", end_count(end, which), count);
}

/* The longest that fits goes, with everything around it; what is longer is told of. */
static void check_longest(bool pi) {
  struct pair pair;
  open_pair(&pair, pi, false);
  uint32_t most = LONGEST - (pi ? POLLER_PI : 0) - flow_header(false);
  write_packets(&pair, 1, 10);
  write_packets(&pair, 1, most);
  write_packets(&pair, 1, most - 1);
  write_packets(&pair, 1, 10);
  read_packets(&pair);
  for (uint32_t more = 1; more <= SEGMENT_MAX - flow_header(false) - most; more += 7) {
    write_packets(&pair, 1, most + more);
    await_count(&pair.ends[0], COUNTER_TX_TOO_LONG, 1 + more / 7);
  }
  pair.next = pair.flow.next;
  write_packets(&pair, 1, 10);
  read_packets(&pair);
  await_count(&pair.ends[0], COUNTER_TX_PACKETS, 5);
  await_count(&pair.ends[1], COUNTER_RX_PACKETS, 5);
  close_pair(&pair);
}

/* One link goes by an interface that cannot cut: its packets go one by one, those of the other as before. */
static void check_uncut(bool tcp) {
  struct pair cut;
  struct pair uncut;
  uint16_t port;
  int other = open_udp("127.0.0.1", &port);
  open_pair(&cut, false, tcp);
  open_pair(&uncut, false, tcp);
  struct endpoint there = node_endpoint(&nodes[0], port);
  link_set_endpoint(uncut.ends[0].link, &there);
  uncut_port = port;
  for (unsigned turn = 0; turn < 3; turn++) {
    write_packets(&uncut, TOGETHER, PAYLOAD);
    write_packets(&cut, TOGETHER, PAYLOAD);
    read_packets(&cut);
    uint8_t record[2 * PAYLOAD];
    for (unsigned i = 0; i < TOGETHER; i++) {
      ssize_t length = recv(other, record, sizeof record, 0);
      expect("bytes of a record", (uint64_t)length, flow_header(tcp) + PAYLOAD + RECORD_OVERHEAD);
    }
  }
  await_count(&uncut.ends[0], COUNTER_TX_PACKETS, 3 * TOGETHER);
  await_count(&uncut.ends[0], COUNTER_TX_WRITES, 3 * TOGETHER);
  await_count(&cut.ends[0], COUNTER_TX_WRITES, 3);
  /* Another way, where it can. */
  there = node_endpoint(&nodes[0], nodes[1].port);
  link_set_endpoint(uncut.ends[0].link, &there);
  uncut.next = uncut.flow.next;
  write_packets(&uncut, TOGETHER, PAYLOAD);
  read_packets(&uncut);
  await_count(&uncut.ends[0], COUNTER_TX_WRITES, 3 * TOGETHER + 1);
  uncut_port = 0;
  close(other);
  close_pair(&cut);
  close_pair(&uncut);
}

/* A probe is as long as was asked for, its headers included, or as short as it can be. */
static void check_probes(void) {
  static const uint32_t sizes[] = {0, 1, 71, 72, 73, 576, 1280, 1500, 9000, 65534, 65535};
  static uint8_t bytes[SEGMENT_MAX];
  struct pair pair;
  uint16_t port;
  int other = open_udp("127.0.0.1", &port);
  open_pair(&pair, false, false);
  struct endpoint to = node_endpoint(&nodes[0], port);
  uint32_t least = endpoint_overhead(&to) + RECORD_OVERHEAD + PROBE_LENGTH;
  link_set_endpoint(pair.ends[0].link, &to);
  for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    expect("probe_send", probe_send(pair.keypair, i, sizes[i]), 1);
    uint64_t length = (uint64_t)recv(other, bytes, sizeof bytes, 0);
    expect("bytes of a probe", length + endpoint_overhead(&to), sizes[i] < least ? least : sizes[i]);
  }
  expect("records sent", end_count(&pair.ends[0], COUNTER_TX_RECORDS), sizeof sizes / sizeof *sizes);
  expect("packets sent", end_count(&pair.ends[0], COUNTER_TX_PACKETS), 0);
  close(other);
  close_pair(&pair);
}

/* An endpoint that is none. */
static void check_nowhere(void) {
  struct pair pair;
  open_pair(&pair, false, true);
  struct endpoint nowhere = {.length = 0};
  link_set_endpoint(pair.ends[0].link, &nowhere);
  write_packets(&pair, TOGETHER, PAYLOAD);
  await_count(&pair.ends[0], COUNTER_TX_REFUSED, TOGETHER);
  expect("packets sent", end_count(&pair.ends[0], COUNTER_TX_PACKETS), 0);
  close_pair(&pair);
}

/* Bursts until one was joined before it was written, as the kernel does not always bring all of it at once. */
static void write_until_joined(struct pair *pair) {
  uint64_t writes;
  do {
    writes = end_count(&pair->ends[1], COUNTER_RX_WRITES);
    write_packets(pair, TOGETHER, PAYLOAD);
    read_packets(pair);
    node_settle(pair->ends[1].node);
  } while (end_count(&pair->ends[1], COUNTER_RX_WRITES) - writes >= TOGETHER);
}

/* A device that does not take what is joined gets it one by one, whole, once and in order, and no more is joined for it
 * until its owner says so; of the other protocol it still is. */
static void check_unjoined(bool pi, bool tcp) {
  struct pair pair;
  open_pair(&pair, pi, tcp);
  struct end *end = &pair.ends[1];
  write_until_joined(&pair);
  expect("super-packets refused", end_count(end, COUNTER_RX_UNJOINED), 0);

  refused_type = tcp ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_UDP_L4;
  uint64_t refused = 0;
  while (refused == 0) {
    write_packets(&pair, TOGETHER, PAYLOAD);
    read_packets(&pair);
    node_settle(end->node);
    refused = end_count(end, COUNTER_RX_UNJOINED);
  }
  uint64_t writes = end_count(end, COUNTER_RX_WRITES);
  for (unsigned i = 0; i < 10; i++) {
    write_packets(&pair, TOGETHER, PAYLOAD);
    read_packets(&pair);
  }
  node_settle(end->node);
  expect("super-packets refused", end_count(end, COUNTER_RX_UNJOINED), refused);
  expect("writes", end_count(end, COUNTER_RX_WRITES), writes + 10 * TOGETHER);

  struct flow first = pair.flow;
  uint32_t next = pair.next;
  pair.flow = (struct flow){.port = 1, .tcp = !tcp};
  pair.next = 0;
  write_until_joined(&pair);
  expect("super-packets refused", end_count(end, COUNTER_RX_UNJOINED), refused);
  uint64_t others = pair.next;
  pair.flow = first;
  pair.next = next;

  refused_type = VIRTIO_NET_HDR_GSO_NONE;
  link_join(end->link);
  write_until_joined(&pair);
  expect("super-packets refused", end_count(end, COUNTER_RX_UNJOINED), refused);
  expect("packets that the device took", end_count(end, COUNTER_RX_PACKETS), pair.flow.next + others);
  expect("packets refused", end_count(end, COUNTER_RX_REFUSED), 0);
  close_pair(&pair);
}

/* A device that nobody empties. */
static void check_full(void) {
  struct pair pair;
  open_pair(&pair, false, false);
  struct awaited taken = {&pair.ends[1], 0, 2, {COUNTER_RX_PACKETS, COUNTER_RX_REFUSED}};
  while (end_count(&pair.ends[1], COUNTER_RX_REFUSED) < 100) {
    write_packets(&pair, TOGETHER, PAYLOAD);
    taken.count += TOGETHER;
    await("packets counted", has_counted, &taken);
  }
  pair.holes = true;
  uint64_t passed = end_count(&pair.ends[1], COUNTER_RX_PACKETS);
  await_count(&pair.ends[0], COUNTER_TX_PACKETS, pair.flow.next);
  expect("packets counted", passed + end_count(&pair.ends[1], COUNTER_RX_REFUSED), pair.flow.next);
  uint64_t read = 0;
  static uint8_t bytes[FLOW_ROOM];
  for (size_t length; (length = read_far(&pair.ends[1], bytes, sizeof bytes)) > 0;) {
    struct virtio_net_hdr header;
    memcpy(&header, bytes, sizeof header);
    size_t payload = length - sizeof header - flow_header(false);
    read += header.gso_size == 0 ? 1 : (payload + header.gso_size - 1) / header.gso_size;
    flow_read(bytes, length, false, true, take, &pair);
  }
  expect("packets that came out of the device", read, passed);
  close_pair(&pair);
}

/* A receiver that gets no turn: what the kernel had no room for is told with the next record. */
static void check_buffer(void) {
  struct pair pair;
  open_pair(&pair, false, false);
  pair.ends[0].link->uncut = true; /* what leaves in one call would be counted as one */
  pthread_rwlock_wrlock(&nodes[1].direct->lock);
  for (uint32_t i = 0; i < 20000; i++) write_packets(&pair, 1, PAYLOAD);
  await_count(&pair.ends[0], COUNTER_TX_PACKETS, 20000);
  pthread_rwlock_unlock(&nodes[1].direct->lock);
  struct awaited taken = {&pair.ends[1], pair.flow.next, 3,
                          {COUNTER_RX_PACKETS, COUNTER_RX_REFUSED, COUNTER_RX_OVERFLOW}};
  while (!has_counted(&taken)) {
    write_packets(&pair, 1, PAYLOAD);
    taken.count = pair.flow.next;
    poll(NULL, 0, 1);
  }
  expect("packets counted once", end_count(&pair.ends[1], COUNTER_RX_PACKETS) +
         end_count(&pair.ends[1], COUNTER_RX_REFUSED) + end_count(&pair.ends[1], COUNTER_RX_OVERFLOW), pair.flow.next);
  if (end_count(&pair.ends[1], COUNTER_RX_OVERFLOW) == 0) fail("records without room", 0, 1);
  close_pair(&pair);
}

static uint32_t empty_ring(const struct pair *pair, uint32_t packets) {
  const uint8_t *records;
  uint32_t got = 0;
  for (; got < packets; got++) {
    uint32_t bytes = device_peek(pair->ends[0].device, 1, &records);
    if (bytes == 0) break;
    device_release(pair->ends[0].device, bytes);
  }
  return got;
}

static bool has_ring(void *context) {
  struct pair *pair = context;
  pair->next += empty_ring(pair, pair->flow.next - pair->next);
  return pair->next == pair->flow.next;
}

/* What does not fit the path goes to the owner; what is the tunnels' own goes nowhere, unlike the tunnels of others. */
static void check_aside(void) {
  struct pair pair;
  open_pair(&pair, true, false);
  link_set_limit(pair.ends[0].link, POLLER_PI + flow_header(false) + PAYLOAD - 1);
  write_packets(&pair, TOGETHER, PAYLOAD);
  await("packets in the ring", has_ring, &pair);
  expect("super-packets aside", end_count(&pair.ends[0], COUNTER_TX_ASIDE), 1);
  link_set_limit(pair.ends[0].link, POLLER_PI + flow_header(false) + PAYLOAD);
  pair.flow.port = pair.port = nodes[0].port;
  pair.flow.source = INADDR_LOOPBACK;
  write_packets(&pair, 1, PAYLOAD);
  write_packets(&pair, TOGETHER, PAYLOAD);
  await_count(&pair.ends[0], COUNTER_TX_LOOPED, 1 + TOGETHER);
  pair.next = pair.flow.next;
  expect("packets sealed", end_count(&pair.ends[0], COUNTER_TX_PACKETS), TOGETHER);
  expect("of these, for the ring", end_count(&pair.ends[0], COUNTER_TX_DATA), TOGETHER);
  static const uint32_t others[] = {0, INADDR_LOOPBACK + 1, INADDR_BROADCAST};
  for (unsigned i = 0; i < sizeof others / sizeof *others; i++) {
    pair.flow.source = others[i];
    write_packets(&pair, TOGETHER, PAYLOAD);
    read_packets(&pair);
    await_count(&pair.ends[0], COUNTER_TX_PACKETS, (i + 2) * TOGETHER);
    await_count(&pair.ends[0], COUNTER_TX_WRITES, i + 1);
  }
  close_pair(&pair);
}

/* An owner that fetches nothing: the ring fills up, and every packet is either in it or counted. */
static void check_overflow(void) {
  struct pair pair;
  open_pair(&pair, true, false);
  link_set_limit(pair.ends[0].link, 1);
  uint32_t bursts = 0;
  for (; end_count(&pair.ends[0], COUNTER_TX_OVERFLOW) < 100; bursts++) {
    write_packets(&pair, TOGETHER, PAYLOAD);
    await_count(&pair.ends[0], COUNTER_TX_ASIDE, bursts + 1);
  }
  /* The last burst is in the ring when the one after it was read. */
  pair.flow.port = 2;
  link_set_limit(pair.ends[0].link, SEGMENT_MAX);
  write_packets(&pair, 1, PAYLOAD);
  await_count(&pair.ends[1], COUNTER_RX_PACKETS, 1); /* else it may come when its keypair is gone */
  uint32_t kept = empty_ring(&pair, UINT32_MAX);
  expect("packets kept", kept, end_count(&pair.ends[0], COUNTER_TX_DATA));
  expect("packets kept or counted", kept + end_count(&pair.ends[0], COUNTER_TX_OVERFLOW), bursts * TOGETHER);
  close_pair(&pair);
}

/* Without keys no packet goes anywhere. */
static void check_keyless(void) {
  struct pair pair;
  open_pair(&pair, true, false);
  end_rest(&pair.ends[0]);
  write_packets(&pair, TOGETHER, PAYLOAD);
  await_count(&pair.ends[0], COUNTER_TX_KEYLESS, TOGETHER);
  expect("packets in the ring", empty_ring(&pair, 1), 0);
  expect("packets sealed", end_count(&pair.ends[0], COUNTER_TX_PACKETS), 0);
  close_pair(&pair);
}

/* Where the owner wants it, records leave one by one, and together again. */
static void check_singly(bool tcp) {
  struct pair pair;
  open_pair(&pair, false, tcp);
  struct end *end = &pair.ends[0];
  for (unsigned turn = 1; turn <= 2; turn++) {
    link_set_segmentation(end->link, false);
    write_packets(&pair, TOGETHER, PAYLOAD);
    read_packets(&pair);
    await_count(end, COUNTER_TX_WRITES, turn * TOGETHER + turn - 1);
    expect("records that left together", end_count(end, COUNTER_TX_SEGMENTED), (turn - 1) * TOGETHER);
    link_set_segmentation(end->link, true);
    write_packets(&pair, TOGETHER, PAYLOAD);
    read_packets(&pair);
    await_count(end, COUNTER_TX_WRITES, turn * TOGETHER + turn);
    await_count(end, COUNTER_TX_SEGMENTED, turn * TOGETHER);
  }
  close_pair(&pair);
}

int main(void) {
  for (unsigned i = 0; i < 2; i++) node_open(&nodes[i], "127.0.0.1", 1);
  check_longest(false);
  check_longest(true);
  check_uncut(true);
  check_uncut(false);
  check_singly(true);
  check_singly(false);
  check_probes();
  check_nowhere();
  for (unsigned i = 0; i < 4; i++) check_unjoined((i & 1) != 0, (i & 2) != 0);
  check_full();
  check_buffer();
  check_aside();
  check_overflow();
  check_keyless();
  for (unsigned i = 0; i < 2; i++) {
    expect("records of no keypair", atomic_load(&nodes[i].direct->counters[COUNTER_UNKNOWN]), 0);
    node_close(&nodes[i]);
  }
  puts("all refusals counted");
  return 0;
}

/*
 * Whoever has not the keys changes nothing: what is sent to a node's port from outside is counted by its cause, and
 * neither packets nor events nor answers come of it, nor does the path move. Exits 0 when every count was exact.
 *
 *   direct-forgery <address> <workers>
 */
#include <endian.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "direct-lab.h"
#include "probe.h"

#define LONGEST 65535u
/* Datagrams under way, so that no socket's queue overflows. */
#define WINDOW 64u
#define PEER_INDEX 0x0badcafeu
#define GENERATION 7u
/* More than a replay window. */
#define FAR_AHEAD (2u * REPLAY_BITS)

struct lab {
  struct node node;
  struct end end;
  struct keypair *keypairs[OUTER_MAX];
  struct record_key *key; /* the peer's, for sealing */
  uint64_t counters[OUTER_MAX];
  unsigned workers;
  int outside;
  uint16_t outside_port;
  uint64_t ice;
  uint64_t expected_ice;
  uint64_t expected[LINK_COUNTERS];
  uint64_t strays[DIRECT_COUNTERS];
  uint64_t under_way;
  uint64_t datagrams;
};

static struct lab lab;

/* Not 0, and spread over the table's buckets. */
static uint32_t index_of(unsigned lane) { return 0x5a5a0000u + lane * 0x01010300u + lane; }

static uint64_t total(const _Atomic uint64_t *counters, unsigned count) {
  uint64_t sum = 0;
  for (unsigned i = 0; i < count; i++) sum += atomic_load(&counters[i]);
  return sum;
}

static void read_ice(void) {
  static uint8_t bytes[LONGEST];
  ssize_t length;
  while ((length = recv(lab.node.ice, bytes, sizeof bytes, MSG_DONTWAIT)) >= 0) {
    if (length > 0 && bytes[0] >= 192) fail("first byte at ICE", bytes[0], 191);
    lab.ice++;
  }
}

static bool is_settled(void *context) {
  (void)context;
  read_ice();
  uint64_t expected = lab.expected_ice;
  for (unsigned i = 0; i < LINK_COUNTERS; i++) expected += lab.expected[i];
  for (unsigned i = 0; i < DIRECT_COUNTERS; i++) expected += lab.strays[i];
  return lab.ice + total(lab.end.link->counters, LINK_COUNTERS) + total(lab.node.direct->counters, DIRECT_COUNTERS) >=
         expected;
}

/* Every datagram ends in one counter, and in the right one. */
static void settle(void) {
  await("all datagrams counted", is_settled, NULL);
  char what[32];
  for (unsigned i = 0; i < LINK_COUNTERS; i++) {
    snprintf(what, sizeof what, "link counter %u", i);
    expect(what, end_count(&lab.end, i), lab.expected[i]);
  }
  const _Atomic uint64_t *strays = lab.node.direct->counters;
  expect("records of no keypair", atomic_load(&strays[COUNTER_UNKNOWN]), lab.strays[COUNTER_UNKNOWN]);
  expect("no records", atomic_load(&strays[COUNTER_NO_RECORD]), lab.strays[COUNTER_NO_RECORD]);
  expect("datagrams at ICE", lab.ice, lab.expected_ice);
  lab.under_way = 0;
}

/* Nothing came of what was sent. */
static void expect_silence(uint16_t port) {
  uint8_t byte;
  struct event event;
  settle();
  expect("bytes to the device", read_far(&lab.end, &byte, sizeof byte), 0);
  expect("answers", recv(lab.outside, &byte, sizeof byte, MSG_DONTWAIT) >= 0, 0);
  expect("events", events_take(&lab.node.direct->events, &event), 0);
  expect("port of the peer", end_port(&lab.end), port);
}

static void transmit(const uint8_t *bytes, size_t length, uint16_t segment) {
  struct endpoint to = node_endpoint(&lab.node, lab.node.port);
  struct iovec part = {(void *)bytes, length};
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(uint16_t))];
  } control = {.header = {.cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof segment)}};
  memcpy(CMSG_DATA(&control.header), &segment, sizeof segment);
  struct msghdr message = {.msg_name = &to.address, .msg_namelen = to.length, .msg_iov = &part, .msg_iovlen = 1};
  if (segment != 0) message.msg_control = control.space, message.msg_controllen = sizeof control.space;
  if (sendmsg(lab.outside, &message, 0) != (ssize_t)length) fail("sendmsg", length, segment);
  lab.datagrams++;
  if (++lab.under_way == WINDOW) settle();
}

static int lane_of(uint32_t index) {
  for (unsigned lane = 0; lane < lab.workers; lane++) {
    if (lab.keypairs[lane] != NULL && index == index_of(lane)) return (int)lane;
  }
  return -1;
}

/* By the formats alone (record.h, outer.h): what becomes of a datagram that is not authentic. */
static void send_forged(const uint8_t *bytes, size_t length) {
  uint32_t index = 0;
  if (length == 0 || bytes[0] < 192) {
    lab.expected_ice++;
  } else if (length < RECORD_OVERHEAD || bytes[0] != 0xc0 || bytes[1] > RECORD_REPLY || bytes[2] != RECORD_UDP ||
             bytes[3] > (bytes[1] == RECORD_PACKET ? RECORD_PARTIAL : 0)) {
    lab.strays[COUNTER_NO_RECORD]++;
  } else {
    memcpy(&index, bytes + 4, sizeof index);
    if (lane_of(be32toh(index)) < 0) lab.strays[COUNTER_UNKNOWN]++;
    else lab.expected[COUNTER_RX_FORGED]++;
  }
  transmit(bytes, length, 0);
}

static size_t seal(uint8_t *record, unsigned lane, uint8_t kind, uint64_t counter, const void *content, size_t length) {
  struct record_header header = {.kind = kind, .index = index_of(lane), .counter = counter};
  if (length > 0) memcpy(record + RECORD_HEADER, content, length);
  if (!record_seal(lab.key, record, record + RECORD_HEADER, length, header)) fail("record_seal", 0, 1);
  return length + RECORD_OVERHEAD;
}

/* Not IP, so that nothing is joined. */
static void fill(uint8_t *packet, size_t length) {
  for (size_t i = 0; i < length; i++) packet[i] = (uint8_t)(0xa0 + i % 64);
}

/* What comes out of the device, its virtio_net_hdr aside, is the packet. */
static void take_packet(const uint8_t *packet, size_t length) {
  static uint8_t bytes[sizeof(struct virtio_net_hdr) + LONGEST];
  size_t got = await_far(&lab.end, bytes, sizeof bytes);
  expect("bytes to the device", got, sizeof(struct virtio_net_hdr) + length);
  expect("another packet", memcmp(bytes + sizeof(struct virtio_net_hdr), packet, length) != 0, 0);
}

static bool takes_event(void *event) { return events_take(&lab.node.direct->events, event); }

/* An event follows the count of its record. */
static void take_event(enum event_type type, uint32_t index, uint32_t number) {
  struct event event;
  await("an event", takes_event, &event);
  expect("type of event", event.type, type);
  expect("index of event", event.index, index);
  expect("number of event", event.number, number);
}

static void count_packet(size_t length) {
  lab.expected[COUNTER_RX_RECORDS]++;
  lab.expected[COUNTER_RX_PACKETS]++;
  lab.expected[COUNTER_RX_BYTES] += length;
  lab.expected[COUNTER_RX_WRITES]++;
}

static void deliver(const uint8_t *record, size_t length, const uint8_t *packet) {
  count_packet(length - RECORD_OVERHEAD);
  transmit(record, length, 0);
  take_packet(packet, length - RECORD_OVERHEAD);
  settle();
}

/* Opens what the node has sent, and returns how long it is. */
static size_t open_sent(uint8_t *record, size_t room, uint8_t kind) {
  struct record_header header;
  uint8_t key[RECORD_KEY];
  memset(key, GENERATION, sizeof key);
  ssize_t length = recv(lab.outside, record, room, 0);
  if (length < 0 || !record_parse(record, (size_t)length, &header)) fail("a record", (uint64_t)length, 0);
  expect("kind of record", header.kind, kind);
  expect("index of record", header.index, PEER_INDEX);
  struct record_key *opening = record_key_new(RECORD_CHACHA20_POLY1305, key, false);
  int64_t opened = record_open(opening, record, (size_t)length, &header);
  record_key_free(opening);
  if (opened < 0) fail("a record that opens", 0, 1);
  return (size_t)opened;
}

/* A record from an address that the node does not know is taken, and asked back; the path moves with the answer. */
static void deliver_from_elsewhere(unsigned lane, const uint8_t *record, size_t length, const uint8_t *packet) {
  uint16_t before = end_port(&lab.end);
  uint8_t question[RECORD_OVERHEAD + PROBE_LENGTH];
  uint8_t answer[RECORD_OVERHEAD + PROBE_LENGTH];
  lab.expected[COUNTER_TX_RECORDS]++;
  deliver(record, length, packet);
  expect("bytes of a question", open_sent(question, sizeof question, RECORD_PROBE), PROBE_LENGTH);
  expect("port of the peer", end_port(&lab.end), before);
  lab.expected[COUNTER_RX_RECORDS]++;
  transmit(answer, seal(answer, lane, RECORD_REPLY, lab.counters[lane]++, question + RECORD_HEADER, PROBE_LENGTH), 0);
  settle();
}

static void replay(const uint8_t *record, size_t length) {
  lab.expected[COUNTER_RX_REPLAYED]++;
  transmit(record, length, 0);
}

/* Every first byte, with lengths around each border: ICE's get to ICE as they are, and only these. */
static void check_first_bytes(uint16_t port) {
  static const size_t lengths[] = {1, 7, 8, 31, 32, 33, 1500, 60000};
  static uint8_t bytes[LONGEST];
  for (unsigned first = 0; first < 256; first++) {
    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
      memset(bytes, 0xee, lengths[i]);
      bytes[0] = (uint8_t)first;
      send_forged(bytes, lengths[i]);
      if (lengths[i] > 1500) settle();
    }
  }
  send_forged(bytes, 0);
  expect_silence(port);
}

/* Nobody's index, in a record that looks right otherwise. */
static void check_guesses(uint16_t port) {
  uint8_t record[RECORD_OVERHEAD + 64];
  uint32_t random = 1;
  for (unsigned i = 0; i < 2000; i++) {
    seal(record, 0, RECORD_PACKET, i, (uint8_t[64]){0}, 64);
    random = random * 1664525u + 1013904223u;
    if (lane_of(be32toh(random)) < 0) memcpy(record + 4, &random, sizeof random);
    send_forged(record, sizeof record);
  }
  expect_silence(port);
}

/* Of even parity, so that another bit makes none that was accepted before. */
static uint64_t next_counter(unsigned lane) {
  while (__builtin_parityll(lab.counters[lane]) != 0) lab.counters[lane]++;
  return lab.counters[lane]++;
}

/* Every bit and every length of a record that has not arrived; then the record itself. */
static void check_record(unsigned lane, uint8_t kind, size_t inside, uint16_t port) {
  static uint8_t packet[LONGEST];
  static uint8_t record[LONGEST];
  fill(packet, inside);
  size_t length = seal(record, lane, kind, next_counter(lane), packet, inside);
  for (size_t bit = 0; bit < length * 8; bit++) {
    record[bit / 8] ^= (uint8_t)(1u << bit % 8);
    send_forged(record, length);
    record[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  for (size_t cut = 0; cut < length; cut++) send_forged(record, cut);
  send_forged(record, length + 1);
  settle();
  send_forged(record, 65000);
  expect_silence(port);
  if (kind != RECORD_PACKET) return;
  if (port == lab.outside_port) deliver(record, length, packet);
  else deliver_from_elsewhere(lane, record, length, packet);
  for (unsigned again = 0; again < 3; again++) replay(record, length);
  settle();
}

/* The oldest counters that are still in the window, and the newest that are not. */
static void check_window(unsigned lane) {
  uint8_t packet[40];
  uint8_t record[RECORD_OVERHEAD + sizeof packet];
  fill(packet, sizeof packet);
  uint64_t newest = lab.counters[lane] += FAR_AHEAD;
  deliver(record, seal(record, lane, RECORD_PACKET, newest, packet, sizeof packet), packet);
  for (uint64_t back = REPLAY_BITS; back < REPLAY_BITS + 20; back++) {
    replay(record, seal(record, lane, RECORD_PACKET, newest - back, packet, sizeof packet));
  }
  settle();
  deliver(record, seal(record, lane, RECORD_PACKET, newest - REPLAY_BITS + 64, packet, sizeof packet), packet);
  deliver(record, seal(record, lane, RECORD_PACKET, newest - 1, packet, sizeof packet), packet);
  lab.counters[lane]++;
}

/* The path moves where the newest record came from, and what was asked there was answered: an older one may have been
 * held back and sent from anywhere, and a new one too. */
static void check_roaming(unsigned lane) {
  uint8_t packet[40];
  uint8_t old[RECORD_OVERHEAD + sizeof packet];
  uint8_t record[RECORD_OVERHEAD + sizeof packet];
  uint16_t home_port = lab.outside_port;
  uint16_t port;
  int home = lab.outside;
  fill(packet, sizeof packet);
  size_t length = seal(old, lane, RECORD_PACKET, lab.counters[lane]++, packet, sizeof packet);
  deliver(record, seal(record, lane, RECORD_PACKET, lab.counters[lane]++, packet, sizeof packet), packet);
  lab.outside = open_udp(lab.node.address, &port);
  deliver(old, length, packet);
  expect_silence(home_port);
  length = seal(record, lane, RECORD_PACKET, lab.counters[lane]++, packet, sizeof packet);
  deliver_from_elsewhere(lane, record, length, packet);
  take_event(EVENT_ROAMED, index_of(lane), 0);
  expect_silence(port);
  close(lab.outside);
  lab.outside = home;
  length = seal(record, lane, RECORD_PACKET, lab.counters[lane]++, packet, sizeof packet);
  deliver_from_elsewhere(lane, record, length, packet);
  take_event(EVENT_ROAMED, index_of(lane), 0);
  expect_silence(home_port);
}

/* The peer itself, but not as it should. */
static void check_malformed(unsigned lane) {
  static const uint8_t late[PROBE_LENGTH] = {0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  const struct {
    uint8_t kind;
    size_t length;
  } records[] = {{RECORD_PROBE, 0}, {RECORD_PROBE, PROBE_LENGTH - 1}, {RECORD_REPLY, PROBE_LENGTH - 1},
                 {RECORD_REPLY, PROBE_LENGTH}};
  uint8_t record[RECORD_OVERHEAD + PROBE_LENGTH];
  for (unsigned i = 0; i < sizeof records / sizeof *records; i++) {
    lab.expected[COUNTER_RX_RECORDS]++;
    lab.expected[COUNTER_RX_MALFORMED]++;
    transmit(record, seal(record, lane, records[i].kind, lab.counters[lane]++, late, records[i].length), 0);
  }
  lab.expected[COUNTER_RX_RECORDS]++; /* an empty packet: a sign of life */
  transmit(record, seal(record, lane, RECORD_PACKET, lab.counters[lane]++, late, 0), 0);
  expect_silence(lab.outside_port);
}

/* A probe is answered where it came from, with its own first bytes; an answer becomes an event. */
static void check_probe(unsigned lane) {
  uint8_t record[RECORD_OVERHEAD + 500];
  uint8_t content[500] = {1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 9};
  lab.expected[COUNTER_RX_RECORDS] += 2;
  lab.expected[COUNTER_TX_RECORDS]++;
  transmit(record, seal(record, lane, RECORD_PROBE, lab.counters[lane]++, content, sizeof content), 0);
  expect("bytes of an answer", open_sent(record, sizeof record, RECORD_REPLY), REPLY_LENGTH);
  expect("another answer", memcmp(record + RECORD_HEADER, content, PROBE_LENGTH) != 0, 0);
  uint64_t count;
  memcpy(&count, record + RECORD_HEADER + PROBE_LENGTH, sizeof count);
  expect("records opened, the probe included", be64toh(count), lab.expected[COUNTER_RX_RECORDS] - 1);
  transmit(record, seal(record, lane, RECORD_REPLY, lab.counters[lane]++, content, PROBE_LENGTH), 0);
  settle();
  take_event(EVENT_REPLY, index_of(lane), 0x01020304);
  expect_silence(lab.outside_port);
}

/* One message that the kernel hands to the receiver of its first record, with the records of others after it: these are
 * nobody's there, and still good at their own. */
static void check_mixture(void) {
  uint8_t packet[60];
  uint8_t records[OUTER_MAX * 4][RECORD_OVERHEAD + sizeof packet];
  unsigned count = lab.workers * 4;
  fill(packet, sizeof packet);
  for (unsigned i = 0; i < count; i++) {
    unsigned lane = i % lab.workers;
    seal(records[i], lane, RECORD_PACKET, lab.counters[lane]++, packet, sizeof packet);
    if (lane == 0) count_packet(sizeof packet);
    else lab.strays[COUNTER_UNKNOWN]++;
  }
  transmit(records[0], count * sizeof records[0], sizeof records[0]);
  for (unsigned i = 0; i < 4; i++) take_packet(packet, sizeof packet);
  settle();
  for (unsigned i = 0; i < count; i++) {
    if (i % lab.workers == 0) replay(records[i], sizeof records[i]);
    else deliver(records[i], sizeof records[i], packet);
  }
  settle();
}

static void check_removed(void) {
  uint8_t packet[40];
  uint8_t record[RECORD_OVERHEAD + sizeof packet];
  fill(packet, sizeof packet);
  for (unsigned lane = 0; lane < lab.workers; lane++) {
    seal(record, lane, RECORD_PACKET, lab.counters[lane]++, packet, sizeof packet);
    keypair_remove(lab.keypairs[lane]);
    lab.keypairs[lane] = NULL;
    for (unsigned i = 0; i < 10; i++) send_forged(record, sizeof record);
  }
  expect_silence(lab.outside_port);
}

int main(int count, char **words) {
  static const size_t lengths[] = {1, 16, 40, 300};
  if (count != 3) fail("words", (uint64_t)count, 3);
  lab.workers = (unsigned)atoi(words[2]);
  node_open(&lab.node, words[1], lab.workers);
  lab.outside = open_udp(words[1], &lab.outside_port);
  uint16_t peer = 9;
  end_open(&lab.end, &lab.node, false, peer);
  for (unsigned lane = 0; lane < lab.workers; lane++) {
    lab.keypairs[lane] = add_keypair(&lab.end, index_of(lane), PEER_INDEX, GENERATION, true);
  }
  uint8_t key[RECORD_KEY];
  memset(key, (uint8_t)~GENERATION, sizeof key);
  lab.key = record_key_new(RECORD_CHACHA20_POLY1305, key, true);
  check_first_bytes(peer);
  check_guesses(peer);
  for (unsigned lane = 0; lane < lab.workers; lane++) {
    for (uint8_t kind = RECORD_REPLY; kind > RECORD_PACKET; kind--) check_record(lane, kind, PROBE_LENGTH, peer);
    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
      check_record(lane, RECORD_PACKET, lengths[i], peer);
      if (i == 0) take_event(EVENT_HEARD, index_of(lane), 0);
      peer = lab.outside_port; /* only the first that opened moved the path */
      expect_silence(peer);
    }
    check_window(lane);
    check_roaming(lane);
    check_malformed(lane);
    check_probe(lane);
  }
  check_mixture();
  check_removed();
  printf("%llu datagrams\n", (unsigned long long)lab.datagrams);
  record_key_free(lab.key);
  close(lab.outside);
  end_close(&lab.end);
  node_close(&lab.node);
  return 0;
}

/*
 * The engine under traffic while everything about it changes: keys are renewed and removed, packets switched between
 * the direct path and the ring, links freed and made anew, limits moved, an end gets other addresses, and probes run
 * all the while. Exits 0 when every packet arrived once, unaltered and in the order of its flow, and every counter is
 * exact.
 *
 *   direct-traffic <address> <workers> <packets of each flow> <seed>
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "direct-flow.h"
#include "direct-forwarder.h"
#include "direct-lab.h"
#include "probe.h"

#define LINKS 3u
#define FLOWS 2u
/* Packets under way in one direction of a link, and bytes of each: no queue of the kernel's is full then. */
#define WINDOW 40u
#define LONGEST 1300u
#define SHORTEST 4u
/* Bytes of a limit that some packets exceed. */
#define NARROW 900u
#define PROBES 4u
#define FIRST_PORT 10000u

struct stream {
  struct flow flow;
  uint32_t arrived;
  uint32_t direct; /* of these, by the direct path */
  uint32_t lowest_direct; /* number that may come next by each way */
  uint32_t lowest_ring;
  uint8_t *seen;
  bool *by_ring; /* whether that packet goes by the ring */
};

/* A host behind one end, and what it sends. */
struct side {
  struct end end;
  struct stream streams[FLOWS];
  struct keypair *keypair;
  struct keypair *old;
  uint64_t drained; /* TX_PACKETS when `old` was last used */
  bool direct;
  uint64_t totals[LINK_COUNTERS]; /* of links that are freed */
  pthread_t sender;
  uint32_t random;
};

/* Two sides, whose keypairs lead to one receiver each however often they are renewed. */
struct pair {
  struct side sides[2];
  unsigned probes; /* unanswered, of both keypairs */
  bool held; /* until it is quiet, and made anew */
};

static struct node nodes[2];
static struct pair pairs[LINKS];
static struct forwarder *forwarder;
static uint32_t packets;
static uint32_t serial = 1;
static uint32_t probe_number;
static unsigned renewals, removals, switches, reopenings, rebinds, roamed, heard, replies, keypairs;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t progress = PTHREAD_COND_INITIALIZER;
static atomic_bool reading = true;

static uint32_t draw(uint32_t *random, uint32_t below) {
  *random = *random * 1664525u + 1013904223u;
  return (*random >> 8) % below;
}

static uint32_t under_way(const struct side *side) {
  uint32_t sum = 0;
  for (unsigned i = 0; i < FLOWS; i++) sum += side->streams[i].flow.next - side->streams[i].arrived;
  return sum;
}

static struct stream *stream_of(struct side *from, uint16_t port, uint32_t number) {
  if (port < FIRST_PORT || port >= FIRST_PORT + FLOWS) fail("flow", port, FIRST_PORT);
  if (number >= packets) fail("number of a packet", number, packets);
  return &from->streams[port - FIRST_PORT];
}

static void note_ring(void *context, uint16_t port, uint32_t number) {
  stream_of(context, port, number)->by_ring[number] = true;
}

/* A packet from that side has arrived at the other. */
static void take(void *context, uint16_t port, uint32_t number) {
  struct stream *stream = stream_of(context, port, number);
  bool direct = !stream->by_ring[number];
  uint32_t *lowest = direct ? &stream->lowest_direct : &stream->lowest_ring;
  if (number < *lowest) fail("order of a packet", number, *lowest);
  if (stream->seen[number]++ != 0) fail("packets of one number", 2, 1);
  *lowest = number + 1;
  stream->arrived++;
  stream->direct += direct;
}

static void *send_packets(void *argument) {
  struct pair *pair = *(struct pair **)argument;
  struct side *side = ((struct side **)argument)[1];
  static _Thread_local uint8_t bytes[FLOW_ROOM];
  free(argument);
  for (unsigned turn = 0;; turn++) {
    struct stream *stream = &side->streams[turn % FLOWS];
    uint32_t count = 1 + draw(&side->random, WINDOW / 2);
    uint32_t payload = SHORTEST + draw(&side->random, LONGEST - SHORTEST);
    uint32_t last = SHORTEST + draw(&side->random, payload - SHORTEST + 1);
    pthread_mutex_lock(&lock);
    while (pair->held || under_way(side) + count > WINDOW) pthread_cond_wait(&progress, &lock);
    uint32_t left = packets - stream->flow.next;
    bool done = side->streams[0].flow.next == packets && side->streams[1].flow.next == packets;
    if (count > left) count = left;
    size_t length = count == 0 ? 0 : flow_write(&stream->flow, bytes, side->end.pi, count, payload, last);
    pthread_mutex_unlock(&lock);
    if (done) return NULL;
    if (length > 0 && send(side->end.far, bytes, length, 0) != (ssize_t)length) fail("send", (uint64_t)errno, 0);
  }
}

static void *read_packets(void *argument) {
  (void)argument;
  static uint8_t bytes[FLOW_ROOM];
  while (atomic_load(&reading)) {
    struct pollfd wanted[LINKS * 2];
    for (unsigned i = 0; i < LINKS * 2; i++) {
      wanted[i] = (struct pollfd){.fd = pairs[i / 2].sides[i % 2].end.far, .events = POLLIN};
    }
    if (poll(wanted, LINKS * 2, 10) <= 0) continue;
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < LINKS * 2; i++) {
      struct side *to = &pairs[i / 2].sides[i % 2];
      struct side *from = &pairs[i / 2].sides[1 - i % 2];
      for (size_t length; (length = read_far(&to->end, bytes, sizeof bytes)) > 0;) {
        flow_read(bytes, length, to->end.pi, true, take, from);
      }
    }
    pthread_cond_broadcast(&progress);
    pthread_mutex_unlock(&lock);
  }
  return NULL;
}

/* Notes which packet a record of the ring has. */
static void look_into(struct side *side, bool first, const uint8_t *record, uint32_t length) {
  static uint8_t copy[RECORD_OVERHEAD + FLOW_ROOM], bytes[FLOW_ROOM];
  struct virtio_net_hdr header = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM};
  struct record_header sealed;
  memcpy(copy, record, length);
  expect("record in the ring", record_parse(copy, length, &sealed), true);
  expect("its lane", sealed.lane, RECORD_DATA);
  struct record_key *key = opening_key((uint8_t)(sealed.index >> 8), first);
  int64_t inside = record_open(key, copy, length, &sealed);
  record_key_free(key);
  if (inside < 0) fail("a record that opens", 0, 1);
  uint32_t prefix = side->end.pi ? POLLER_PI : 0;
  if ((sealed.flags & RECORD_PARTIAL) == 0) header.flags = 0;
  memcpy(bytes, copy + RECORD_HEADER, prefix);
  memcpy(bytes + prefix, &header, sizeof header);
  memcpy(bytes + prefix + sizeof header, copy + RECORD_HEADER + prefix, (size_t)inside - prefix);
  flow_read(bytes, (size_t)inside + sizeof header, side->end.pi, true, note_ring, side);
}

/* What lies in the ring goes by the datachannel: here it arrives at once. */
static void empty_ring(struct pair *pair, unsigned from) {
  struct side *side = &pair->sides[from];
  struct link *to = pair->sides[1 - from].end.link;
  static uint8_t record[RECORD_OVERHEAD + FLOW_ROOM];
  const uint8_t *records;
  for (uint32_t bytes; (bytes = device_peek(side->end.device, 1, &records)) > 0;) {
    uint32_t length;
    memcpy(&length, records, sizeof length);
    memcpy(record, records + sizeof length, length);
    device_release(side->end.device, bytes);
    look_into(side, from == 0, record, length);
    link_open(to, record, length);
    link_opened(to);
  }
}

static void use(struct side *side) {
  link_use(side->end.link, side->keypair);
  link_carry(side->end.link, side->direct);
}

static void add_keypairs(struct pair *pair) {
  uint32_t lane = (uint32_t)(pair - pairs);
  uint8_t generation = (uint8_t)serial;
  uint32_t index = serial++ << 8 | lane;
  for (unsigned i = 0; i < 2; i++) {
    struct side *side = &pair->sides[i];
    side->old = side->keypair;
    side->keypair = add_keypair(&side->end, index, index, generation, i == 0);
    keypairs++;
  }
  for (unsigned i = 0; i < 2; i++) {
    use(&pair->sides[i]);
    pair->sides[i].drained = end_count(&pair->sides[i].end, COUNTER_TX_PACKETS);
  }
}

static bool arrived(const struct pair *pair, unsigned from) {
  return end_count(&pair->sides[from].end, COUNTER_TX_RECORDS) ==
         end_count(&pair->sides[1 - from].end, COUNTER_RX_RECORDS);
}

/* Whether an end has asked the other for another address, and its answer is under way: neither is told as an event. */
static bool is_asking(const struct pair *pair) {
  if (pair != pairs) return false; /* the others never move */
  bool asks = false;
  struct link *link = pair->sides[1].end.link;
  pthread_mutex_lock(&link->lock);
  for (unsigned i = 0; i < QUESTIONS; i++) asks |= link->questions[i].open;
  pthread_mutex_unlock(&link->lock);
  return asks || !arrived(pair, 1) || !arrived(pair, 0);
}

static bool is_drained(const struct pair *pair) {
  const struct side *a = &pair->sides[0];
  const struct side *b = &pair->sides[1];
  return pair->probes == 0 && !is_asking(pair) && end_count(&b->end, COUNTER_RX_PACKETS) >= a->drained &&
         end_count(&a->end, COUNTER_RX_PACKETS) >= b->drained;
}

static void renew(struct pair *pair) {
  if (pair->sides[0].old == NULL) {
    add_keypairs(pair);
    renewals++;
  } else if (is_drained(pair)) {
    for (unsigned i = 0; i < 2; i++) {
      keypair_remove(pair->sides[i].old);
      pair->sides[i].old = NULL;
    }
    removals++;
  }
}

static void sum_up(struct side *side) {
  end_rest(&side->end);
  node_settle(side->end.node);
  for (unsigned i = 0; i < LINK_COUNTERS; i++) side->totals[i] += end_count(&side->end, i);
}

static void reopen(struct pair *pair) {
  if (pair->probes != 0 || under_way(&pair->sides[0]) + under_way(&pair->sides[1]) != 0) return;
  for (unsigned i = 0; i < 2; i++) {
    struct side *side = &pair->sides[i];
    struct endpoint to = link_ends(side->end.link).far;
    sum_up(side);
    link_free(side->end.link);
    side->end.link = link_new(side->end.node->direct, side->end.device, 0, side->end.pi, true);
    if (side->end.link == NULL) abort();
    link_set_endpoint(side->end.link, &to);
    link_set_limit(side->end.link, POLLER_PI + SEGMENT_MAX);
    side->keypair = side->old = NULL;
  }
  add_keypairs(pair);
  reopenings++;
  pair->held = false;
}

static void probe(struct pair *pair, struct side *side, uint32_t size) {
  if (pair->held || pair->probes == PROBES) return;
  pair->probes++;
  expect("probe_send", probe_send(side->keypair, ++probe_number, size), 1);
}

static void rebind(void) {
  struct side *b = &pairs[0].sides[1];
  if (pairs[0].sides[0].streams[0].direct == 0) return; /* the first address that is heard from is no change */
  if (end_port(&b->end) != forwarder_outer(forwarder) || rebinds == 200) return;
  forwarder_rebind(forwarder);
  rebinds++;
}

static void act(uint32_t *random) {
  struct pair *pair = &pairs[draw(random, LINKS)];
  struct side *side = &pair->sides[draw(random, 2)];
  switch (draw(random, 8)) {
    case 0:
    case 1:
    case 2:
      if (!pair->held) renew(pair);
      return;
    case 3:
      side->direct = !side->direct || draw(random, 2) == 0;
      use(side);
      switches++;
      return;
    case 4:
      link_set_limit(side->end.link, draw(random, 3) == 0 ? NARROW : POLLER_PI + SEGMENT_MAX);
      return;
    case 5:
      probe(pair, side, draw(random, 1500));
      return;
    case 6:
      rebind();
      return;
    default: /* the first link has its forwarder */
      if (pair != pairs && draw(random, 4) == 0) pair->held = true;
  }
}

static void take_event(unsigned node, struct event event) {
  struct pair *pair = &pairs[event.index & 0xffu];
  if (event.type == EVENT_HEARD) heard++;
  if (event.type == EVENT_REPLY) replies++, pair->probes--;
  if (event.type != EVENT_ROAMED) return;
  expect("link that roamed", (uint64_t)(pair - pairs) * 2 + node, 1);
  roamed++;
}

static bool finish(void) {
  for (unsigned i = 0; i < LINKS * 2; i++) {
    const struct side *side = &pairs[i / 2].sides[i % 2];
    if (side->streams[0].arrived + side->streams[1].arrived < FLOWS * packets) return false;
    if (pairs[i / 2].probes > 0) return false;
  }
  /* The last change of address shows with the next record. */
  if (roamed < rebinds) probe(&pairs[0], &pairs[0].sides[0], 0);
  return roamed >= rebinds && !is_asking(&pairs[0]);
}

/* The owner: what JavaScript's thread does, until all packets are there. */
static void own(uint32_t random) {
  uint32_t before = 0;
  unsigned idle = 0;
  for (bool done = false; !done;) {
    struct timespec until;
    struct event event;
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < LINKS * 2; i++) empty_ring(&pairs[i / 2], i % 2);
    for (unsigned i = 0; i < 2; i++) {
      poller_rest(nodes[i].poller);
      while (events_take(&nodes[i].direct->events, &event)) take_event(i, event);
    }
    done = finish();
    for (unsigned i = 0; i < LINKS; i++) {
      if (pairs[i].held) reopen(&pairs[i]);
    }
    if (!done) act(&random);
    uint32_t arrived = 0;
    for (unsigned i = 0; i < LINKS * 2 * FLOWS; i++) arrived += pairs[i / 4].sides[i / 2 % 2].streams[i % 2].arrived;
    idle = arrived == before ? idle + 1 : 0;
    before = arrived;
    if (idle > PATIENCE) fail("packets, and then no more events", arrived, (uint64_t)LINKS * 2 * FLOWS * packets);
    pthread_cond_broadcast(&progress);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 1000000;
    if (until.tv_nsec >= 1000000000) until.tv_nsec -= 1000000000, until.tv_sec++;
    if (!done) pthread_cond_timedwait(&progress, &lock, &until);
    pthread_mutex_unlock(&lock);
  }
}

static void open_pair(unsigned number, uint32_t seed) {
  struct pair *pair = &pairs[number];
  for (unsigned i = 0; i < 2; i++) {
    struct side *side = &pair->sides[i];
    uint16_t port = nodes[1 - i].port;
    if (number == 0) port = i == 0 ? forwarder_inner(forwarder) : forwarder_outer(forwarder);
    end_open(&side->end, &nodes[i], number == 1, port);
    side->direct = true;
    side->random = seed + number * 2 + i;
    for (unsigned j = 0; j < FLOWS; j++) {
      side->streams[j].flow = (struct flow){.port = (uint16_t)(FIRST_PORT + j), .tcp = j == 0};
      side->streams[j].seen = calloc(packets, 1);
      side->streams[j].by_ring = calloc(packets, sizeof(bool));
    }
  }
  add_keypairs(pair);
  for (unsigned i = 0; i < 2; i++) {
    void **argument = malloc(2 * sizeof *argument);
    argument[0] = pair;
    argument[1] = &pair->sides[i];
    expect("pthread_create", (uint64_t)pthread_create(&pair->sides[i].sender, NULL, send_packets, argument), 0);
  }
}

/* Both directions of a link: what one end counts as sent, the other counts as received. */
static void check_totals(struct pair *pair) {
  static const enum link_counter same[][2] = {{COUNTER_TX_PACKETS, COUNTER_RX_PACKETS},
                                              {COUNTER_TX_BYTES, COUNTER_RX_BYTES},
                                              {COUNTER_TX_DATA, COUNTER_RX_DATA},
                                              {COUNTER_TX_RECORDS, COUNTER_RX_RECORDS}};
  static const enum link_counter none[] = {COUNTER_TX_REFUSED, COUNTER_TX_TOO_LONG, COUNTER_RX_REFUSED,
                                           COUNTER_RX_FORGED,  COUNTER_RX_REPLAYED, COUNTER_RX_MALFORMED};
  for (unsigned i = 0; i < 2; i++) sum_up(&pair->sides[i]);
  for (unsigned i = 0; i < 2; i++) {
    const struct side *from = &pair->sides[i];
    const struct side *to = &pair->sides[1 - i];
    for (unsigned j = 0; j < sizeof none / sizeof *none; j++) expect("refusals of any kind", from->totals[none[j]], 0);
    for (unsigned j = 0; j < sizeof same / sizeof *same; j++) {
      expect("received, of what was sent", to->totals[same[j][1]], from->totals[same[j][0]]);
    }
    uint64_t direct = from->streams[0].direct + from->streams[1].direct;
    expect("packets by the direct path", direct, from->totals[COUNTER_TX_PACKETS] - from->totals[COUNTER_TX_DATA]);
  }
}

int main(int count, char **words) {
  pthread_t reader;
  if (count != 5) fail("words", (uint64_t)count, 5);
  packets = (uint32_t)strtoul(words[3], NULL, 10);
  uint32_t seed = (uint32_t)strtoul(words[4], NULL, 10);
  for (unsigned i = 0; i < 2; i++) node_open(&nodes[i], words[1], (unsigned)atoi(words[2]));
  forwarder = forwarder_start(&nodes[0], &nodes[1]);
  pthread_mutex_lock(&lock);
  for (unsigned i = 0; i < LINKS; i++) open_pair(i, seed);
  pthread_mutex_unlock(&lock);
  expect("pthread_create", (uint64_t)pthread_create(&reader, NULL, read_packets, NULL), 0);
  own(seed);
  atomic_store(&reading, false);
  pthread_join(reader, NULL);
  uint64_t direct = 0;
  for (unsigned i = 0; i < LINKS * 2; i++) {
    struct side *side = &pairs[i / 2].sides[i % 2];
    pthread_join(side->sender, NULL);
    direct += side->streams[0].direct + side->streams[1].direct;
  }
  forwarder_stop(forwarder);
  for (unsigned i = 0; i < LINKS; i++) check_totals(&pairs[i]);
  for (unsigned i = 0; i < 2; i++) {
    expect("records of no keypair", atomic_load(&nodes[i].direct->counters[COUNTER_UNKNOWN]), 0);
    expect("no records", atomic_load(&nodes[i].direct->counters[COUNTER_NO_RECORD]), 0);
  }
  expect("answers", replies, probe_number);
  expect("changes of address", roamed, rebinds);
  if (heard > keypairs) fail("keypairs heard", heard, keypairs);
  for (unsigned i = 0; i < LINKS * 2; i++) {
    struct side *side = &pairs[i / 2].sides[i % 2];
    for (unsigned j = 0; j < FLOWS; j++) free(side->streams[j].seen), free(side->streams[j].by_ring);
    end_close(&side->end);
  }
  for (unsigned i = 0; i < 2; i++) node_close(&nodes[i]);
  printf("%llu of %u packets by the direct path; ", (unsigned long long)direct, LINKS * 2 * FLOWS * packets);
  printf("%u renewals, %u removals, %u switches, %u links made anew, %u changes of address, %u probes\n", renewals,
         removals, switches, reopenings, rebinds, replies);
  return 0;
}

#include "keypair.h"

#include <errno.h>
#include <stdlib.h>

#include "direct.h"
#include "sender.h"

static struct keypair **bucket_of(struct direct *direct, uint32_t index) {
  return &direct->table[index % KEYPAIR_BUCKETS];
}

struct keypair *keypair_find(struct direct *direct, uint32_t index) {
  struct keypair *keypair = *bucket_of(direct, index);
  while (keypair != NULL && keypair->index != index) keypair = keypair->next;
  return keypair;
}

static void free_keypair(struct keypair *keypair) {
  record_key_free(keypair->seal);
  record_key_free(keypair->reply);
  for (unsigned lane = 0; lane < RECORD_LANES; lane++) record_key_free(keypair->open[lane]);
  pthread_mutex_destroy(&keypair->lock);
  free(keypair);
}

struct keypair *keypair_add(struct link *link, uint32_t index, uint32_t peer_index, enum record_cipher cipher,
                            const uint8_t seal[RECORD_KEY], const uint8_t open[RECORD_KEY], bool ecn) {
  struct direct *direct = link->direct;
  if (keypair_find(direct, index) != NULL) {
    errno = EEXIST;
    return NULL;
  }
  struct keypair *keypair = calloc(1, sizeof *keypair);
  if (keypair == NULL) return NULL;
  pthread_mutex_init(&keypair->lock, NULL);
  keypair->outlet = (struct outlet){
      .send = sender_send,
      .waits = sender_waits,
      .adds = RECORD_OVERHEAD,
      .seal = sender_seal,
      .dropped = sender_dropped,
      .flush = sender_flush,
  };
  keypair->link = link;
  keypair->index = index;
  keypair->peer_index = peer_index;
  keypair->ecn = ecn;
  keypair->seal = record_key_new(cipher, seal, true);
  keypair->reply = record_key_new(cipher, seal, true);
  bool made = keypair->seal != NULL && keypair->reply != NULL;
  for (unsigned lane = 0; lane < RECORD_LANES; lane++) {
    keypair->open[lane] = record_key_new(cipher, open, false);
    made = made && keypair->open[lane] != NULL;
  }
  if (!made) {
    free_keypair(keypair);
    errno = ENOMEM;
    return NULL;
  }
  struct keypair **bucket = bucket_of(direct, index);
  pthread_rwlock_wrlock(&direct->lock);
  keypair->next = *bucket;
  *bucket = keypair;
  pthread_rwlock_unlock(&direct->lock);
  return keypair;
}

void keypair_remove(struct keypair *keypair) {
  struct direct *direct = keypair->link->direct;
  struct keypair **at = bucket_of(direct, keypair->index);
  pthread_rwlock_wrlock(&direct->lock);
  while (*at != keypair) at = &(*at)->next;
  *at = keypair->next;
  pthread_rwlock_unlock(&direct->lock);
  free_keypair(keypair);
}

struct ends link_ends(struct link *link) {
  pthread_mutex_lock(&link->lock);
  struct ends ends = {.far = link->endpoint, .own = link->own};
  pthread_mutex_unlock(&link->lock);
  return ends;
}

/* What the kernel says of a source that is none of this machine's, or has no route (net/ipv4/route.c, net/ipv6). */
static bool may_be_for_source(int error) {
  return error == EINVAL || error == EADDRNOTAVAIL || error == ENETUNREACH || error == EHOSTUNREACH || error == ENODEV;
}

int link_send(struct link *link, unsigned socket, const struct ends *ends, const uint8_t *records, size_t length,
              uint32_t segment, uint8_t octet) {
  if (link->direct->outer.count == 0) return ENETDOWN;
  int fd = link->direct->outer.sockets[socket];
  struct ancillary with = {.segment = segment, .octet = octet, .own = ends->own};
  int error = ancillary_send(fd, &ends->far, &with, records, length);
  if (!may_be_for_source(error) || !own_address_is_set(&with.own)) return error;
  with.own = (struct own_address){0};
  int without = ancillary_send(fd, &ends->far, &with, records, length);
  if (without == error) return error;
  pthread_mutex_lock(&link->lock);
  if (own_address_equals(&link->own, &ends->own)) link->own = with.own;
  pthread_mutex_unlock(&link->lock);
  return without;
}

static bool seal(struct keypair *keypair, uint8_t *record, size_t length, struct record_header header) {
  pthread_mutex_lock(&keypair->lock);
  bool sealed = record_seal(keypair->reply, record, record + RECORD_HEADER, length, header);
  pthread_mutex_unlock(&keypair->lock);
  return sealed;
}

bool keypair_sign(struct keypair *keypair, uint8_t *record) {
  struct record_header header = {
      .kind = RECORD_PACKET,
      .lane = RECORD_DATA,
      .index = keypair->peer_index,
      .counter = keypair_counter(keypair, RECORD_DATA),
  };
  return seal(keypair, record, 0, header);
}

bool keypair_send(struct keypair *keypair, enum record_kind kind, uint8_t *record, size_t length,
                  const struct ends *ends) {
  struct link *link = keypair->link;
  struct record_header header = {
      .kind = (uint8_t)kind,
      .index = keypair->peer_index,
      .counter = keypair_counter(keypair, RECORD_UDP),
  };
  if (!seal(keypair, record, length, header)) return true;
  uint8_t octet = link->direct->dscp == DSCP_COPY ? 0 : (uint8_t)(link->direct->dscp << 2);
  int error = link_send(link, 0, ends, record, length + RECORD_OVERHEAD, 0, octet);
  if (error == 0) count(link->counters, COUNTER_TX_RECORDS, 1);
  return error != EMSGSIZE;
}

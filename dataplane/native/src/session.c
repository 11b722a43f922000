#include "session.h"

#include <errno.h>
#include <stdlib.h>

#include "direct.h"
#include "sender.h"

static struct session **bucket_of(struct direct *direct, uint32_t index) {
  return &direct->table[index % SESSION_BUCKETS];
}

struct session *session_find(struct direct *direct, uint32_t index) {
  struct session *session = *bucket_of(direct, index);
  while (session != NULL && session->index != index) session = session->next;
  return session;
}

static void free_session(struct session *session) {
  record_key_free(session->seal);
  record_key_free(session->reply);
  for (unsigned lane = 0; lane < RECORD_LANES; lane++) record_key_free(session->open[lane]);
  pthread_mutex_destroy(&session->lock);
  free(session);
}

struct session *session_add(struct link *link, uint32_t index, uint32_t peer_index, enum record_cipher cipher,
                            const uint8_t seal[RECORD_KEY], const uint8_t open[RECORD_KEY], bool ecn) {
  struct direct *direct = link->direct;
  if (session_find(direct, index) != NULL) {
    errno = EEXIST;
    return NULL;
  }
  struct session *session = calloc(1, sizeof *session);
  if (session == NULL) return NULL;
  pthread_mutex_init(&session->lock, NULL);
  session->outlet = (struct outlet){
      .send = sender_send,
      .waits = sender_waits,
      .adds = RECORD_OVERHEAD,
      .seal = sender_seal,
      .dropped = sender_dropped,
      .flush = sender_flush,
  };
  session->link = link;
  session->index = index;
  session->peer_index = peer_index;
  session->ecn = ecn;
  session->seal = record_key_new(cipher, seal, true);
  session->reply = record_key_new(cipher, seal, true);
  bool made = session->seal != NULL && session->reply != NULL;
  for (unsigned lane = 0; lane < RECORD_LANES; lane++) {
    session->open[lane] = record_key_new(cipher, open, false);
    made = made && session->open[lane] != NULL;
  }
  if (!made) {
    free_session(session);
    errno = ENOMEM;
    return NULL;
  }
  struct session **bucket = bucket_of(direct, index);
  pthread_rwlock_wrlock(&direct->lock);
  session->next = *bucket;
  *bucket = session;
  pthread_rwlock_unlock(&direct->lock);
  return session;
}

void session_remove(struct session *session) {
  struct direct *direct = session->link->direct;
  struct session **at = bucket_of(direct, session->index);
  pthread_rwlock_wrlock(&direct->lock);
  while (*at != session) at = &(*at)->next;
  *at = session->next;
  pthread_rwlock_unlock(&direct->lock);
  free_session(session);
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

static bool seal(struct session *session, uint8_t *record, size_t length, struct record_header header) {
  pthread_mutex_lock(&session->lock);
  bool sealed = record_seal(session->reply, record, record + RECORD_HEADER, length, header);
  pthread_mutex_unlock(&session->lock);
  return sealed;
}

bool session_sign(struct session *session, uint8_t *record) {
  struct record_header header = {
      .kind = RECORD_PACKET,
      .lane = RECORD_DATA,
      .index = session->peer_index,
      .counter = session_counter(session, RECORD_DATA),
  };
  return seal(session, record, 0, header);
}

bool session_send(struct session *session, enum record_kind kind, uint8_t *record, size_t length,
                  const struct ends *ends) {
  struct link *link = session->link;
  struct record_header header = {
      .kind = (uint8_t)kind,
      .index = session->peer_index,
      .counter = session_counter(session, RECORD_UDP),
  };
  if (!seal(session, record, length, header)) return true;
  uint8_t octet = link->direct->dscp == DSCP_COPY ? 0 : (uint8_t)(link->direct->dscp << 2);
  int error = link_send(link, 0, ends, record, length + RECORD_OVERHEAD, 0, octet);
  if (error == 0) count(link->counters, COUNTER_TX_RECORDS, 1);
  return error != EMSGSIZE;
}

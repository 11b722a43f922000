#include "roaming.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

/* Milliseconds for which records leave from one address of ours, however they arrive: some round trips. */
#define OWN_STAYS 2000u
/* Milliseconds until an address that goes on sending is asked again, and until an answer comes too late. */
#define ASK_AGAIN 200u
#define ANSWERS_WITHIN 3000u

static uint64_t milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* Under the link's lock. Where both ends follow each other's last address, and each has sent to another one than it was
 * sent to, they would change places with each round trip for ever: ours stays for longer than that. So does the kernel's
 * choice: until the peer has heard of another address of ours, its records come to the one before. */
static void follow_own(struct link *link, const struct ends *ends) {
  if (own_address_equals(&link->own, &ends->own) || !own_address_is_set(&ends->own)) return;
  uint64_t now = milliseconds();
  bool serves = !own_address_is_set(&link->own) || own_address_fits(&link->own, &link->endpoint);
  if (serves && now - link->own_since < OWN_STAYS) return;
  link->own = ends->own;
  link->own_since = now;
}

static bool is_recent(const struct question *question, uint64_t now) {
  return question->since > 0 && now - question->since < ANSWERS_WITHIN;
}

/* Under the link's lock: the question to that address, a new one where none is open; NULL where it was asked a moment
 * ago, or too many others were. */
static struct question *question_to(struct link *link, const struct ends *ends, uint64_t wait) {
  uint64_t now = milliseconds();
  struct question *unused = NULL;
  for (unsigned i = 0; i < QUESTIONS; i++) {
    struct question *question = &link->questions[i];
    bool same = endpoint_equals(&question->ends.far, &ends->far);
    if (question->open && is_recent(question, now)) {
      if (!same) continue;
      if (now - question->at < wait) return NULL;
      question->at = now;
      return question;
    }
    if (unused == NULL || same) unused = question;
  }
  if (unused == NULL) return NULL;
  *unused = (struct question){.ends = *ends, .since = now, .at = now};
  unused->open = getrandom(unused->content, QUESTION_LENGTH, GRND_NONBLOCK) == QUESTION_LENGTH;
  return unused->open ? unused : NULL;
}

static bool ask(struct keypair *keypair, const struct ends *ends, uint64_t wait) {
  struct link *link = keypair->link;
  uint8_t record[RECORD_OVERHEAD + QUESTION_LENGTH];
  pthread_mutex_lock(&link->lock);
  struct question *question = question_to(link, ends, wait);
  if (question != NULL) memcpy(record + RECORD_HEADER, question->content, QUESTION_LENGTH);
  pthread_mutex_unlock(&link->lock);
  if (question == NULL) return false;
  keypair_send(keypair, RECORD_PROBE, record, QUESTION_LENGTH, ends);
  return true;
}

bool roaming_ask(struct keypair *keypair, const struct ends *ends) { return ask(keypair, ends, 0); }

void roaming_heard(struct keypair *keypair, const struct ends *ends) {
  struct link *link = keypair->link;
  pthread_mutex_lock(&link->lock);
  bool known = endpoint_equals(&link->endpoint, &ends->far);
  bool begun = link->endpoint.length > 0;
  if (known) {
    link->followed = true;
    follow_own(link, ends);
  }
  pthread_mutex_unlock(&link->lock);
  if (!known && begun) ask(keypair, ends, ASK_AGAIN);
}

void roaming_forget_own(struct link *link) {
  pthread_mutex_lock(&link->lock);
  link->own = (struct own_address){0};
  link->own_since = milliseconds();
  pthread_mutex_unlock(&link->lock);
}

bool roaming_answered(struct keypair *keypair, const uint8_t content[QUESTION_LENGTH]) {
  struct link *link = keypair->link;
  bool ours = false;
  bool told = false;
  pthread_mutex_lock(&link->lock);
  uint64_t now = milliseconds();
  for (unsigned i = 0; i < QUESTIONS; i++) {
    struct question *question = &link->questions[i];
    if (!is_recent(question, now) || memcmp(question->content, content, QUESTION_LENGTH) != 0) continue;
    ours = true;
    if (!question->open) break; /* asked twice, and answered twice */
    question->open = false;
    if (!endpoint_equals(&link->endpoint, &question->ends.far)) {
      told = link->followed;
      link->endpoint = question->ends.far;
      link->uncut = false;
    }
    /* With the first one a peer of many addresses only says which it sends from. */
    link->followed = true;
    follow_own(link, &question->ends);
  }
  pthread_mutex_unlock(&link->lock);
  if (told) events_add(&link->direct->events, (struct event){.type = EVENT_ROAMED, .index = keypair->index});
  return ours;
}

/*
 * The replay window next to a set that remembers every counter: none is accepted twice, all that are new and less than
 * a window without one word behind the greatest are, none that lies a whole window behind is. Exits 0 when both agree.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

#define SURE (REPLAY_BITS - 64u)
#define TRIALS 400u
#define STEPS 3000u
#define SLOTS 8192u /* more than twice the steps, a power of two */

struct set {
  uint64_t counters[SLOTS];
  bool used[SLOTS];
  bool any;
  uint64_t greatest;
};

static uint64_t seed = 1;

/* xorshift64* */
static uint64_t next_random(void) {
  seed ^= seed >> 12;
  seed ^= seed << 25;
  seed ^= seed >> 27;
  return seed * UINT64_C(0x2545f4914f6cdd1d);
}

static unsigned slot_of(const struct set *set, uint64_t counter) {
  unsigned slot = (unsigned)(counter * UINT64_C(0x9e3779b97f4a7c15) >> 51);
  while (set->used[slot] && set->counters[slot] != counter) slot = (slot + 1) % SLOTS;
  return slot;
}

static void fail(const char *what, uint64_t counter, const struct set *set) {
  fprintf(stderr, "%s: %" PRIu64 ", the greatest %" PRIu64 "\n", what, counter, set->greatest);
  abort();
}

static bool offer(struct replay *replay, struct set *set, uint64_t counter) {
  unsigned slot = slot_of(set, counter);
  bool is_new = replay_is_new(replay, counter);
  bool accepted = replay_accept(replay, counter);
  bool ahead = !set->any || counter > set->greatest;
  if (is_new != accepted) fail("the look and the acceptance differ", counter, set);
  if (accepted && set->used[slot]) fail("accepted twice", counter, set);
  if (accepted && !ahead && set->greatest - counter >= REPLAY_BITS) fail("accepted behind the window", counter, set);
  if (!accepted && !set->used[slot] && (ahead || set->greatest - counter < SURE)) fail("refused", counter, set);
  if (!accepted) return false;
  set->used[slot] = true;
  set->counters[slot] = counter;
  if (ahead) set->greatest = counter;
  set->any = true;
  return true;
}

/* A counter near `greatest` as networks give them, and attackers. Additions may go round: then it is far behind. */
static uint64_t choose(uint64_t greatest) {
  uint64_t random = next_random();
  uint64_t far = next_random();
  switch (random % 16) {
    case 0:
      return greatest + far % (3 * REPLAY_BITS);
    case 1:
      return greatest + REPLAY_BITS * (far % 4) + far / 4 % 3 - 1;
    case 2:
      return greatest - REPLAY_BITS + 64 - far % 130;
    case 3:
      return greatest - far % (3 * REPLAY_BITS);
    case 4:
      return greatest;
    case 5:
      return random < UINT64_MAX / 32 ? far : greatest;
    case 6:
    case 7:
    case 8:
      return greatest - far % REPLAY_BITS;
    case 9:
    case 10:
      return greatest - far % 200;
    default:
      return greatest + far % 4;
  }
}

static uint64_t start(unsigned trial) {
  switch (trial % 4) {
    case 0:
      return 0;
    case 1:
      return UINT64_MAX - next_random() % (4 * REPLAY_BITS);
    case 2:
      return next_random() % (2 * REPLAY_BITS);
    default:
      return next_random();
  }
}

static void expect(bool got, bool expected, unsigned line) {
  if (got == expected) return;
  fprintf(stderr, "line %u: %s\n", line, got ? "accepted" : "refused");
  abort();
}

static void check_edges(void) {
  struct replay replay;
  memset(&replay, 0, sizeof replay);
  expect(replay_accept(&replay, 0), true, __LINE__);
  expect(replay_accept(&replay, 0), false, __LINE__);
  expect(replay_accept(&replay, SURE), true, __LINE__);
  expect(replay_accept(&replay, 1), true, __LINE__);
  expect(replay_accept(&replay, 3 * REPLAY_BITS), true, __LINE__);
  expect(replay_accept(&replay, 2 * REPLAY_BITS), false, __LINE__);
  expect(replay_accept(&replay, 2 * REPLAY_BITS + 64), true, __LINE__);
  expect(replay_accept(&replay, UINT64_MAX - 1), true, __LINE__);
  expect(replay_accept(&replay, UINT64_MAX), true, __LINE__);
  expect(replay_accept(&replay, UINT64_MAX), false, __LINE__);
  expect(replay_accept(&replay, UINT64_MAX - 1), false, __LINE__);
  expect(replay_accept(&replay, UINT64_MAX - SURE), true, __LINE__);
  expect(replay_accept(&replay, UINT64_MAX - SURE), false, __LINE__);
  expect(replay_is_new(&replay, 0), false, __LINE__);
  expect(replay_accept(&replay, 0), false, __LINE__);
  memset(&replay, 0, sizeof replay);
  expect(replay_accept(&replay, UINT64_MAX), true, __LINE__);
  expect(replay_accept(&replay, UINT64_MAX), false, __LINE__);
  expect(replay_accept(&replay, 5), false, __LINE__);
}

int main(int count, char **values) {
  static struct set set;
  unsigned accepted = 0;
  if (count > 1) seed = strtoull(values[1], NULL, 10) | 1;
  check_edges();
  for (unsigned trial = 0; trial < TRIALS; trial++) {
    struct replay replay;
    memset(&replay, 0, sizeof replay);
    memset(&set, 0, sizeof set);
    accepted += offer(&replay, &set, start(trial));
    for (unsigned step = 1; step < STEPS; step++) accepted += offer(&replay, &set, choose(set.greatest));
  }
  if (accepted < TRIALS * STEPS / 4) fail("too few accepted for a test", accepted, &set);
  printf("%u counters\n", TRIALS * STEPS);
  return 0;
}

#include "conceal.h"

#include <sys/prctl.h>
#include <sys/resource.h>

void conceal(void) {
  /* A kernel that pipes core files to a program does not look at the limit; one that writes them looks at both. */
  setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

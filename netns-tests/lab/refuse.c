/*
 * Runs a program for which the kernel does not know one socket option:
 *
 *   refuse LEVEL OPTION COMMAND [ARGUMENT...]      numbers as in the kernel's headers
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FIELD(name) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, name))
/* To the last instruction but one, which allows, unless the field has this value. */
#define UNLESS(value, left) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, left)

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  struct sock_filter filter[] = {
      FIELD(nr),      UNLESS(SYS_setsockopt, 5),
      FIELD(args[1]), UNLESS((unsigned)atoi(argv[1]), 3),
      FIELD(args[2]), UNLESS((unsigned)atoi(argv[2]), 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOPROTOOPT),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    perror("seccomp");
    return 1;
  }
  execvp(argv[3], argv + 3);
  perror(argv[3]);
  return 1;
}

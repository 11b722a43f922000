#include "privileges.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel hands each set over in two words: 64 capabilities at most. */
enum { words = _LINUX_CAPABILITY_U32S_3, bits = 32, most = words * bits };

static struct __user_cap_header_struct self(void) {
  return (struct __user_cap_header_struct){.version = _LINUX_CAPABILITY_VERSION_3};
}

static bool permitted(uint64_t *set) {
  struct __user_cap_header_struct header = self();
  struct __user_cap_data_struct data[words];
  if (syscall(SYS_capget, &header, data) != 0) return false;
  *set = data[0].permitted | (uint64_t)data[1].permitted << bits;
  return true;
}

static bool set_all(uint64_t allowed, uint64_t effective, uint64_t inheritable) {
  struct __user_cap_header_struct header = self();
  struct __user_cap_data_struct data[words];
  for (int i = 0; i < words; i++) {
    data[i].permitted = (uint32_t)(allowed >> i * bits);
    data[i].effective = (uint32_t)(effective >> i * bits);
    data[i].inheritable = (uint32_t)(inheritable >> i * bits);
  }
  return syscall(SYS_capset, &header, data) == 0;
}

bool privileges_keep(uint64_t wanted) {
  uint64_t kept;
  if (!permitted(&kept)) return false;
  kept &= wanted;
  /* From here on execve(2) adds nothing to the permitted set, not for root either. */
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  /* Not every user may do this, and no kernel knows all 64: a failure does not matter. */
  for (int capability = 0; capability < most; capability++) {
    if ((kept & PRIVILEGE(capability)) == 0) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  }
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  if (!set_all(kept, kept, kept)) return false;
  /* A user who is not root keeps only ambient capabilities on execve(2). */
  for (int capability = 0; capability < most; capability++) {
    if ((kept & PRIVILEGE(capability)) != 0) prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
  }
  return true;
}

bool privileges_unneeded_to_read(const char *path) {
  uint64_t all;
  if (!permitted(&all) || !set_all(all, 0, 0)) return true;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd >= 0) close(fd);
  set_all(all, all, 0);
  return fd >= 0;
}

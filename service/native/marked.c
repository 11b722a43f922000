#include "marked.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

int marked_socket(uint32_t family, uint32_t mark) {
  int fd = socket(family == 6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  if (setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

#include "notify.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

bool notify_send(const char *address, const char *text) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  size_t length = strlen(address);
  if (length == 0 || length >= sizeof to.sun_path) {
    errno = ENAMETOOLONG;
    return false;
  }
  memcpy(to.sun_path, address, length);
  if (address[0] == '@') to.sun_path[0] = '\0';
  /* An abstract name ends with the length, a path with a NUL. */
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (address[0] == '@' ? 0 : 1));
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  bool sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&to, size) >= 0;
  int error = errno;
  close(fd);
  errno = error;
  return sent;
}

#include "broker.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* Seconds. An answer takes a millisecond; a broker that was stopped must not stop control for good. */
enum { patience = 10 };

static int attached(struct msghdr *message) {
  for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL; part = CMSG_NXTHDR(message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    int descriptor;
    memcpy(&descriptor, CMSG_DATA(part), sizeof descriptor);
    return descriptor;
  }
  return -1;
}

static bool receive(int channel, struct broker_reply *reply, int *descriptor) {
  union {
    struct cmsghdr aligned;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec body = {.iov_base = reply, .iov_len = sizeof *reply};
  struct msghdr message = {
      .msg_iov = &body, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  ssize_t length;
  do length = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
  while (length < 0 && errno == EINTR);
  if (length < 0) return false;
  *descriptor = attached(&message);
  if (length == sizeof *reply) return true;
  if (*descriptor >= 0) close(*descriptor);
  errno = EPIPE;
  return false;
}

bool broker_ask(int channel, const void *request, size_t length, int32_t *pid, int *descriptor) {
  struct timeval limit = {.tv_sec = patience};
  struct broker_reply reply;
  if (setsockopt(channel, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
      send(channel, request, length, MSG_NOSIGNAL) < 0) {
    return false;
  }
  if (!receive(channel, &reply, descriptor)) {
    /* An answer that comes too late would be taken for the answer to the next request. */
    int error = errno;
    shutdown(channel, SHUT_RDWR);
    errno = error;
    return false;
  }
  *pid = reply.pid;
  errno = reply.error;
  return reply.error == 0;
}

#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker.h"
#include "conceal.h"
#include "marked.h"

enum {
  longest_list = 1024,
  /* The descriptor on which a dataplane says how its start went. */
  telling = 3,
};

/* A list of strings with a NULL behind it, as execve(2) takes it. */
struct words {
  int count;
  char *each[longest_list + 1];
};

struct plan {
  bool made;
  uint32_t mark;
  const char *port;
  struct words command;
  struct words environment;
};

/* What a reply brings. */
struct opened {
  int32_t pid;
  int descriptor;
};

static char planned[broker_longest_request];
static struct plan plan;

/* False unless `text` is words with a NUL behind each. */
static bool split(char *text, size_t length, struct words *words) {
  words->count = 0;
  if (length == 0 || text[length - 1] != '\0') return false;
  for (char *word = text; word < text + length; word += strlen(word) + 1) {
    if (words->count == longest_list) return false;
    words->each[words->count++] = word;
  }
  words->each[words->count] = NULL;
  return true;
}

static void copy(struct words *to, char *const *from, int count) {
  to->count = count;
  memcpy(to->each, from, (size_t)count * sizeof *from);
  to->each[count] = NULL;
}

/* plan MARK PORT COUNT WORD… VARIABLE… */
static int make_plan(const char *request, size_t length) {
  static struct words words;
  memcpy(planned, request, length);
  if (!split(planned, length, &words) || words.count < 4) return EINVAL;
  char *const *rest = words.each + 4;
  int left = words.count - 4;
  int count = atoi(words.each[3]);
  if (count < 0 || count > left) return EINVAL;
  plan.mark = (uint32_t)strtoul(words.each[1], NULL, 10);
  plan.port = words.each[2];
  copy(&plan.command, rest, count);
  copy(&plan.environment, rest + count, left - count);
  plan.made = true;
  return 0;
}

/* In a forked child. The dataplane keeps standard error and `tell` of the broker's descriptors. */
static void become_dataplane(int tell) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
  setsid();
  if (tell == telling) fcntl(tell, F_SETFD, 0);
  else dup2(tell, telling);
  execve(plan.command.each[0], plan.command.each, plan.environment.each);
  dprintf(telling, "failed no_dataplane cannot run %s: %s\n", plan.command.each[0], strerror(errno));
  _exit(EXIT_FAILURE);
}

static int start(struct opened *opened) {
  if (plan.command.count == 0) return EPERM;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return errno;
  pid_t child = fork();
  int error = errno;
  if (child == 0) become_dataplane(ends[1]);
  close(ends[1]);
  if (child < 0) {
    close(ends[0]);
    return error;
  }
  *opened = (struct opened){.pid = child, .descriptor = ends[0]};
  return 0;
}

static int open_marked(const char *family, struct opened *opened) {
  bool is_ipv6 = strcmp(family, "6") == 0;
  if (!is_ipv6 && strcmp(family, "4") != 0) return EINVAL;
  opened->descriptor = marked_socket(is_ipv6 ? 6 : 4, plan.mark);
  return opened->descriptor < 0 ? errno : 0;
}

/* Binds as libuv does: also shortly after another process had the port, and an IPv6 socket takes IPv4 connections too. */
static int bind_to(const struct addrinfo *at, struct opened *opened) {
  int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  int on = 1;
  int off = 0;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (at->ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (bind(fd, at->ai_addr, at->ai_addrlen) != 0) {
    int error = errno;
    close(fd);
    return error;
  }
  opened->descriptor = fd;
  return 0;
}

static int open_bound(const char *address, struct opened *opened) {
  struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
  struct addrinfo *found;
  if (getaddrinfo(address, plan.port, &hints, &found) != 0) return EINVAL;
  int error = bind_to(found, opened);
  freeaddrinfo(found);
  return error;
}

/* 0 or an errno. */
static int answer(char *request, size_t length, struct opened *opened) {
  static struct words words;
  if (!split(request, length, &words)) return EINVAL;
  bool is_plan = strcmp(words.each[0], "plan") == 0;
  if (is_plan == plan.made) return EPERM;
  if (is_plan) return make_plan(request, length);
  if (words.count == 1 && strcmp(words.each[0], "start") == 0) return start(opened);
  if (words.count == 2 && strcmp(words.each[0], "socket") == 0) return open_marked(words.each[1], opened);
  if (words.count == 2 && strcmp(words.each[0], "listen") == 0) return open_bound(words.each[1], opened);
  return EINVAL;
}

static void reply(int channel, int error, const struct opened *opened) {
  struct broker_reply text = {.error = error, .pid = opened->pid};
  union {
    struct cmsghdr aligned;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control = {0};
  struct iovec body = {.iov_base = &text, .iov_len = sizeof text};
  struct msghdr message = {.msg_iov = &body, .msg_iovlen = 1};
  if (opened->descriptor >= 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    struct cmsghdr *part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof opened->descriptor);
    memcpy(CMSG_DATA(part), &opened->descriptor, sizeof opened->descriptor);
  }
  sendmsg(channel, &message, MSG_NOSIGNAL);
}

void serve(int channel) {
  static char request[broker_longest_request];
  conceal();
  /* It must not end before its control, which could start no dataplane any more. */
  signal(SIGINT, SIG_IGN);
  signal(SIGTERM, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  /* The kernel reaps dataplanes that have ended: nobody asks for their exit codes. */
  signal(SIGCHLD, SIG_IGN);
  prctl(PR_SET_NAME, "cryonet-broker");
  for (;;) {
    ssize_t length = recv(channel, request, sizeof request, MSG_TRUNC);
    if (length < 0 && errno == EINTR) continue;
    if (length <= 0) return;
    struct opened opened = {.descriptor = -1};
    int error = (size_t)length > sizeof request ? EMSGSIZE : answer(request, (size_t)length, &opened);
    reply(channel, error, &opened);
    if (opened.descriptor >= 0) close(opened.descriptor);
  }
}

/*
 * Starts the two processes of a node with few privileges, whoever starts them. Node cannot do that itself: each thread has
 * capabilities of its own, and Node has several threads before it runs a line of ours. This program has one.
 *
 *   launch dataplane NODE ARGUMENT…    becomes NODE with the capabilities of a dataplane
 *   launch control NODE ARGUMENT…      becomes NODE without any, and leaves a broker beside it. CRYONET_BROKER is then
 *                                      "PID:DESCRIPTOR": the process that has the broker, and its end of the channel
 *
 *     launch control ──► Node: control, with the same process ID ──┐ native/broker.h
 *        └─ child: broker ◄────────────────────────────────────────┘
 *             └─ dataplane, for each `start`
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "privileges.h"
#include "serve.h"

enum {
  /* EX_CONFIG: the exit code of all our programs for what does not pass by itself. */
  bad_configuration = 78,
  /* The descriptor of the broker's end. */
  channel = 3,
};

/* The first for interfaces, marks and buffers, the second for ports below 1024: UDP of the dataplane, TCP of control. */
static const uint64_t needed = PRIVILEGE(CAP_NET_ADMIN) | PRIVILEGE(CAP_NET_BIND_SERVICE);

static const char broker_variable[] = "CRYONET_BROKER";

static void fail(const char *step) {
  int error = errno;
  fprintf(stderr, "cryonet: cannot start: %s: %s\n", step, strerror(error));
  exit(error == ENOENT || error == EACCES ? bad_configuration : EXIT_FAILURE);
}

/* Root needs its power over files to run a program of another user, or one in a folder that is closed to others, such as
 * a checkout in a home. It loses nothing by that: whoever owns the program decides anyway what root runs. */
static uint64_t power_over_files(char *const *command) {
  if (geteuid() != 0) return 0;
  const char *program = NULL;
  for (char *const *word = command + 1; *word != NULL && program == NULL; word++) {
    if ((*word)[0] != '-') program = *word;
  }
  struct stat found;
  if (program == NULL || stat(program, &found) != 0) return 0;
  return found.st_uid != 0 || !privileges_unneeded_to_read(program) ? PRIVILEGE(CAP_DAC_OVERRIDE) : 0;
}

static void keep(uint64_t privileges) {
  if (!privileges_keep(privileges)) fail("giving up privileges");
}

static void become(char *const *command) {
  execv(command[0], command);
  fail(command[0]);
}

/* In a session of its own, so that no key at a terminal reaches the broker. It executes itself to be rid of the arguments
 * and the environment, where the token may be. */
static void become_broker(int end, uint64_t files) {
  setsid();
  int nothing = open("/dev/null", O_RDWR);
  if (nothing < 0) fail("/dev/null");
  dup2(nothing, STDIN_FILENO);
  dup2(nothing, STDOUT_FILENO);
  if (end == channel) fcntl(end, F_SETFD, 0);
  else dup2(end, channel);
  close_range(channel + 1, ~0U, 0);
  keep(needed | files);
  execve("/proc/self/exe", (char *[]){"cryonet", "broker", NULL}, (char *[]){NULL});
  fail("the broker");
}

static void become_control(char *const *command) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) fail("socketpair");
  uint64_t files = power_over_files(command);
  pid_t broker = fork();
  if (broker < 0) fail("fork");
  if (broker == 0) become_broker(ends[1], files);
  char whose[32];
  snprintf(whose, sizeof whose, "%d:%d", getpid(), ends[0]);
  if (fcntl(ends[0], F_SETFD, 0) != 0 || setenv(broker_variable, whose, 1) != 0) fail("the broker");
  keep(files);
  become(command);
}

int main(int argc, char **argv) {
  const char *role = argc < 2 ? "" : argv[1];
  if (argc == 2 && strcmp(role, "broker") == 0) {
    serve(channel);
    return EXIT_SUCCESS;
  }
  if (argc > 2 && strcmp(role, "control") == 0) become_control(argv + 2);
  if (argc > 2 && strcmp(role, "dataplane") == 0) {
    keep(needed | power_over_files(argv + 2));
    become(argv + 2);
  }
  fputs("usage: launch control|dataplane NODE ARGUMENT...\n", stderr);
  return bad_configuration;
}

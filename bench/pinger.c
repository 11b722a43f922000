/*
 * Pings from many network namespaces at once, in one process, so that measuring costs little beside what is
 * measured.
 *
 *   pinger reach  INTERVAL_MS LIMIT_MS            targets on standard input, one per line
 *   pinger stream INTERVAL_US COUNT GRACE_MS      one target on standard input
 *
 * A target is `NETNS ADDRESS` or `NETNS link PREFIX COUNT`: NETNS is a path such as /run/netns/x; ADDRESS is IPv4;
 * `link` means COUNT interfaces whose names start with PREFIX, whichever they turn out to be: each is sent
 * an echo request to ff02::1 (all nodes on the link, without our own copy), which the one node at its other end
 * answers.
 *
 * Both print `ready TIME` and begin; TIME is CLOCK_MONOTONIC in nanoseconds, as node's process.hrtime is.
 *
 * `reach` pings every target again and again until it has answered once. It prints `all TIME`, that of the last first
 * answer; or `missing N` when the limit has passed.
 *
 * `stream` sends COUNT requests at a steady pace whatever happens, waits GRACE_MS for late answers and
 * prints one line of JSON: sent, received, rttP50Ms and rttP99Ms. A round trip ends when the kernel has the answer, not
 * when this process is woken; one without an answer counts as GRACE_MS.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ICMP_FILTER = 1 }; /* linux/icmp.h, which does not go together with net/if.h */
enum { MAX_NETNS = 256, MAX_TARGETS = 65536, MAX_LINKS = 512 };

struct netns {
  char path[128];
  int fd, v4, v6;
  char prefix[IFNAMSIZ]; /* '' where no links are expected here */
  int links_expected, links_answered, links_known;
  unsigned link[MAX_LINKS]; /* ifindex */
  int link_answered[MAX_LINKS];
};

struct target {
  int netns;
  struct in_addr address;
  int answered;
};

struct echo {
  uint8_t type, code;
  uint16_t checksum, ident, sequence;
  uint32_t number; /* index of the target, or of the packet in a stream */
};

static struct netns netns[MAX_NETNS];
static int netns_count;
static struct target targets[MAX_TARGETS];
static int target_count;
static uint16_t ident;

static void fail(const char *what) {
  fprintf(stderr, "pinger: %s: %s\n", what, strerror(errno));
  exit(2);
}

static int64_t nanoseconds(struct timespec t) { return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec; }

static int64_t read_clock(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return nanoseconds(t);
}

static int64_t now(void) { return read_clock(CLOCK_MONOTONIC); }

static void enter(const struct netns *n) {
  if (setns(n->fd, CLONE_NEWNET)) fail(n->path);
}

static int open_netns(const char *path) {
  for (int i = 0; i < netns_count; i++)
    if (strcmp(netns[i].path, path) == 0) return i;
  if (netns_count == MAX_NETNS) {
    errno = E2BIG;
    fail("namespaces");
  }
  struct netns *n = &netns[netns_count];
  snprintf(n->path, sizeof n->path, "%s", path);
  n->fd = open(path, O_RDONLY | O_CLOEXEC);
  if (n->fd < 0) fail(path);
  enter(n);
  n->v4 = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP);
  n->v6 = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMPV6);
  if (n->v4 < 0 || n->v6 < 0) fail("socket");
  uint32_t only4 = ~(1U << ICMP_ECHOREPLY);
  struct icmp6_filter only6;
  ICMP6_FILTER_SETBLOCKALL(&only6);
  ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &only6);
  int no = 0, yes = 1, room = 4 << 20;
  if (setsockopt(n->v4, SOL_RAW, ICMP_FILTER, &only4, sizeof only4) ||
      setsockopt(n->v6, IPPROTO_ICMPV6, ICMP6_FILTER, &only6, sizeof only6) ||
      setsockopt(n->v6, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &no, sizeof no) ||
      setsockopt(n->v4, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes) ||
      setsockopt(n->v6, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes) ||
      setsockopt(n->v4, SOL_SOCKET, SO_RCVBUF, &room, sizeof room) ||
      setsockopt(n->v6, SOL_SOCKET, SO_RCVBUF, &room, sizeof room))
    fail("setsockopt");
  return netns_count++;
}

static void read_targets(void) {
  char line[512];
  while (fgets(line, sizeof line, stdin)) {
    char path[128], what[64], prefix[IFNAMSIZ];
    int count;
    if (sscanf(line, "%127s %63s", path, what) != 2) continue;
    int n = open_netns(path);
    if (sscanf(line, "%*s link %15s %d", prefix, &count) == 2) {
      if (count > MAX_LINKS) {
        errno = E2BIG;
        fail("links");
      }
      memcpy(netns[n].prefix, prefix, sizeof prefix);
      netns[n].links_expected = count;
    } else {
      if (target_count == MAX_TARGETS) {
        errno = E2BIG;
        fail("targets");
      }
      if (inet_pton(AF_INET, what, &targets[target_count].address) != 1) {
        errno = EINVAL;
        fail(what);
      }
      targets[target_count++].netns = n;
    }
  }
}

static uint16_t checksum(const void *bytes, size_t length) {
  const uint16_t *word = bytes;
  uint32_t sum = 0;
  for (; length > 1; length -= 2) sum += *word++;
  sum = (sum >> 16) + (sum & 0xffff);
  return (uint16_t)~(sum + (sum >> 16));
}

static void send4(const struct target *t, uint32_t number) {
  struct echo echo = {.type = ICMP_ECHO, .ident = ident, .sequence = htons((uint16_t)number), .number = number};
  echo.checksum = checksum(&echo, sizeof echo);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = t->address};
  sendto(netns[t->netns].v4, &echo, sizeof echo, 0, (struct sockaddr *)&to, sizeof to);
}

static void send6(const struct netns *n, unsigned ifindex, uint32_t number) {
  uint16_t sequence = htons((uint16_t)number);
  struct echo echo = {.type = ICMP6_ECHO_REQUEST, .ident = ident, .sequence = sequence, .number = number};
  struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_scope_id = ifindex};
  inet_pton(AF_INET6, "ff02::1", &to.sin6_addr);
  sendto(n->v6, &echo, sizeof echo, 0, (struct sockaddr *)&to, sizeof to);
}

struct answer {
  uint32_t number;
  unsigned ifindex; /* 0 for IPv4 */
  int64_t at;       /* CLOCK_REALTIME, as the kernel stamps packets */
};

static int64_t stamp(struct msghdr *message) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_TIMESTAMPNS) continue;
    struct timespec t;
    memcpy(&t, CMSG_DATA(c), sizeof t);
    return nanoseconds(t);
  }
  return read_clock(CLOCK_REALTIME);
}

/* True with an answer to us. */
static int receive(int fd, int version, struct answer *answer) {
  for (;;) {
    uint8_t packet[256];
    struct sockaddr_in6 from = {0};
    struct iovec bytes = {packet, sizeof packet};
    char control[CMSG_SPACE(sizeof(struct timespec))] __attribute__((aligned(sizeof(size_t))));
    struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &bytes, .msg_iovlen = 1,
                             .msg_control = control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(fd, &message, 0);
    if (got < 0) return 0;
    size_t skip = version == 4 ? (size_t)(packet[0] & 15) * 4 : 0;
    struct echo echo;
    if ((size_t)got < skip + sizeof echo) continue;
    memcpy(&echo, packet + skip, sizeof echo);
    if (echo.ident != ident) continue;
    *answer = (struct answer){echo.number, version == 4 ? 0 : from.sin6_scope_id, stamp(&message)};
    return 1;
  }
}

/* Looked for anew each time: interfaces appear while nodes start. A link is known by its ifindex. */
static void find_links(struct netns *n) {
  enter(n);
  struct if_nameindex *all = if_nameindex();
  if (!all) return;
  unsigned answered[MAX_LINKS];
  int kept = 0;
  for (int i = 0; i < n->links_known; i++)
    if (n->link_answered[i]) answered[kept++] = n->link[i];
  memset(n->link_answered, 0, sizeof n->link_answered);
  n->links_known = n->links_answered = 0;
  for (struct if_nameindex *i = all; i->if_index && n->links_known < MAX_LINKS; i++) {
    if (strncmp(i->if_name, n->prefix, strlen(n->prefix)) != 0) continue;
    int known = n->links_known++;
    n->link[known] = i->if_index;
    for (int k = 0; k < kept; k++)
      if (answered[k] == i->if_index) n->links_answered += n->link_answered[known] = 1;
  }
  if_freenameindex(all);
}

static struct pollfd *wait_list(nfds_t *count) {
  static struct pollfd list[2 * MAX_NETNS];
  *count = 0;
  for (int i = 0; i < netns_count; i++) {
    list[(*count)++] = (struct pollfd){.fd = netns[i].v4, .events = POLLIN};
    list[(*count)++] = (struct pollfd){.fd = netns[i].v6, .events = POLLIN};
  }
  return list;
}

static int missing(void) {
  int count = 0;
  for (int i = 0; i < target_count; i++) count += !targets[i].answered;
  for (int i = 0; i < netns_count; i++) {
    int left = netns[i].links_expected - netns[i].links_answered;
    count += left > 0 ? left : 0;
  }
  return count;
}

static int reach(int64_t interval, int64_t limit) {
  int64_t end = now() + limit, next = now(), last = next;
  nfds_t count;
  struct pollfd *list = wait_list(&count);
  while (missing() > 0) {
    int64_t time = now();
    if (time > end) {
      printf("missing %d\n", missing());
      return 1;
    }
    if (time >= next) {
      next = time + interval;
      for (int i = 0; i < target_count; i++)
        if (!targets[i].answered) send4(&targets[i], (uint32_t)i);
      for (int i = 0; i < netns_count; i++) {
        struct netns *n = &netns[i];
        if (n->links_answered >= n->links_expected) continue;
        find_links(n);
        for (int k = 0; k < n->links_known; k++)
          if (!n->link_answered[k]) send6(n, n->link[k], (uint32_t)k);
      }
    }
    int64_t rest = next - now();
    poll(list, count, rest > 0 ? (int)((rest + 999999) / 1000000) : 0);
    for (int i = 0; i < netns_count; i++) {
      struct netns *n = &netns[i];
      struct answer answer;
      while (receive(n->v4, 4, &answer)) {
        if (answer.number >= (uint32_t)target_count || targets[answer.number].answered) continue;
        targets[answer.number].answered = 1;
        last = now();
      }
      while (receive(n->v6, 6, &answer)) {
        for (int k = 0; k < n->links_known; k++) {
          if (n->link[k] != answer.ifindex || n->link_answered[k]) continue;
          n->link_answered[k] = 1;
          n->links_answered++;
          last = now();
        }
      }
    }
  }
  printf("all %lld\n", (long long)last);
  return 0;
}

static int ascending(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

/* The least of the sorted values that this share of them does not exceed, in milliseconds. */
static double percentile(const int64_t *sorted, uint32_t count, double share) {
  uint32_t rank = (uint32_t)((double)count * share + 0.999999);
  return (double)sorted[rank > 0 ? rank - 1 : 0] / 1e6;
}

static int stream(int64_t interval, uint32_t total, int64_t grace) {
  struct netns *n = &netns[0];
  unsigned ifindex = 0;
  if (n->links_expected) {
    find_links(n);
    ifindex = n->link[0];
  }
  int64_t *left = calloc(total, sizeof *left), *trip = calloc(total, sizeof *trip);
  if (total == 0 || !left || !trip) fail("memory");
  uint32_t sent = 0, received = 0;
  int64_t start = now();
  nfds_t count;
  struct pollfd *list = wait_list(&count);
  for (;;) {
    int64_t time = now(), due = start + (int64_t)sent * interval;
    if (sent < total && time >= due) {
      left[sent] = read_clock(CLOCK_REALTIME);
      /* One that the kernel does not take is lost like any other. */
      if (ifindex) send6(n, ifindex, sent);
      else send4(&targets[0], sent);
      sent++;
      continue;
    }
    int64_t until = sent < total ? due : start + (int64_t)total * interval + grace;
    if (received == total || (sent == total && time >= until)) break;
    int64_t rest = until - time;
    struct timespec wait = {rest / 1000000000, rest % 1000000000};
    ppoll(list, count, &wait, NULL);
    struct answer answer;
    while (receive(ifindex ? n->v6 : n->v4, ifindex ? 6 : 4, &answer)) {
      if (answer.number >= sent || trip[answer.number]) continue;
      /* Never 0, which stands for no answer. */
      trip[answer.number] = answer.at > left[answer.number] ? answer.at - left[answer.number] : 1;
      received++;
    }
  }
  for (uint32_t i = 0; i < total; i++)
    if (!trip[i]) trip[i] = grace;
  qsort(trip, total, sizeof *trip, ascending);
  printf("{\"sent\":%u,\"received\":%u,\"rttP50Ms\":%.4f,\"rttP99Ms\":%.4f}\n", sent, received,
         percentile(trip, total, 0.5), percentile(trip, total, 0.99));
  free(left);
  free(trip);
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "pinger: reach INTERVAL_MS LIMIT_MS | stream INTERVAL_US COUNT GRACE_MS\n");
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  ident = (uint16_t)(getpid() ^ now());
  read_targets();
  printf("ready %lld\n", (long long)now());
  int64_t interval = atoll(argv[2]);
  if (strcmp(argv[1], "reach") == 0) return reach(interval * 1000000, atoll(argv[3]) * 1000000);
  if (argc < 5) return 2;
  return stream(interval * 1000, (uint32_t)atoll(argv[3]), atoll(argv[4]) * 1000000);
}

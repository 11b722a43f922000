#include "outer.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bytes that the kernel keeps for a socket each way: 10 ms at 5 Gbit/s. */
#define BUFFER (7 * 1024 * 1024)

/* The first byte of a record, and of nothing that ICE has to see. */
#define FIRST_RECORD_BYTE 192

/* Where the low byte of the receiver index lies in a record (record.h). */
#define INDEX_LOW_BYTE 7

static bool is_udp(int fd) {
  int type;
  int protocol;
  socklen_t length = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_DGRAM) return false;
  length = sizeof protocol;
  return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) == 0 && protocol == IPPROTO_UDP;
}

static uint16_t port_of(const struct sockaddr_storage *address) {
  if (address->ss_family == AF_INET) return ntohs(((const struct sockaddr_in *)address)->sin_port);
  if (address->ss_family == AF_INET6) return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
  return 0;
}

/* Calls `visit` for each UDP socket of this process until it returns true. */
static bool each_udp_socket(bool (*visit)(int fd, void *context), void *context) {
  DIR *directory = opendir("/proc/self/fd");
  if (directory == NULL) return false;
  bool found = false;
  for (struct dirent *entry; !found && (entry = readdir(directory)) != NULL;) {
    int fd = atoi(entry->d_name);
    if (entry->d_name[0] != '.' && fd != dirfd(directory) && is_udp(fd)) found = visit(fd, context);
  }
  closedir(directory);
  return found;
}

struct search {
  uint16_t port;
  int fd;
  struct sockaddr_storage address;
  socklen_t length;
};

static bool has_port(int fd, void *context) {
  struct search *search = context;
  search->length = sizeof search->address;
  if (getsockname(fd, (struct sockaddr *)&search->address, &search->length) != 0) return false;
  if (port_of(&search->address) != search->port) return false;
  search->fd = fd;
  return true;
}

struct marking {
  uint32_t mark;
  int error;
};

static bool mark_one(int fd, void *context) {
  struct marking *marking = context;
  uint32_t now;
  socklen_t length = sizeof now;
  if (getsockopt(fd, SOL_SOCKET, SO_MARK, &now, &length) == 0 && now == marking->mark) return false;
  if (setsockopt(fd, SOL_SOCKET, SO_MARK, &marking->mark, sizeof marking->mark) != 0) marking->error = errno;
  return false;
}

int outer_mark(uint32_t mark) {
  struct marking marking = {.mark = mark, .error = 0};
  each_udp_socket(mark_one, &marking);
  return marking.error;
}

static int set(int fd, int level, int option, int value) { return setsockopt(fd, level, option, &value, sizeof value); }

static void enlarge(int fd, int forced, int allowed) {
  if (set(fd, SOL_SOCKET, forced, BUFFER) != 0) set(fd, SOL_SOCKET, allowed, BUFFER);
}

/* Returns a socket like ICE's, or -1 with errno and `step`. */
static int open_socket(const struct search *ice, uint32_t mark, const char **step) {
  *step = "socket";
  int fd = socket(ice->address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
  if (fd < 0) return -1;
  enlarge(fd, SO_RCVBUFFORCE, SO_RCVBUF);
  enlarge(fd, SO_SNDBUFFORCE, SO_SNDBUF);
  bool ipv6 = ice->address.ss_family == AF_INET6;
  int only = 0;
  socklen_t length = sizeof only;
  if (ipv6) getsockopt(ice->fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &length);
  const struct {
    int level;
    int option;
    int value;
    const char *step;
  } options[] = {
      {SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT"},
      {IPPROTO_UDP, UDP_GRO, 1, "UDP_GRO"},
      {SOL_SOCKET, SO_RXQ_OVFL, 1, "SO_RXQ_OVFL"},
      /* Never fragmented, and the size is ours to find: what the kernel believes of the path may be forged. */
      {IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE, "IP_MTU_DISCOVER"},
      {IPPROTO_IP, IP_PKTINFO, 1, "IP_PKTINFO"},
      {IPPROTO_IP, IP_RECVTOS, 1, "IP_RECVTOS"},
      {IPPROTO_IPV6, IPV6_V6ONLY, only, "IPV6_V6ONLY"},
      {IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE, "IPV6_MTU_DISCOVER"},
      {IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO"},
      {IPPROTO_IPV6, IPV6_RECVTCLASS, 1, "IPV6_RECVTCLASS"},
  };
  unsigned count = sizeof options / sizeof options[0] - (ipv6 ? 0 : 4);
  for (unsigned i = 0; i < count; i++) {
    *step = options[i].step;
    if (set(fd, options[i].level, options[i].option, options[i].value) != 0) goto refused;
  }
  /* Sets nothing that sending does not set anew for each packet: only asks whether the kernel knows it. */
  *step = "UDP_SEGMENT";
  if (set(fd, IPPROTO_UDP, UDP_SEGMENT, 0) != 0) goto refused;
  *step = "SO_MARK";
  if (mark != 0 && set(fd, SOL_SOCKET, SO_MARK, (int)mark) != 0) goto refused;
  *step = "bind";
  if (bind(fd, (const struct sockaddr *)&ice->address, ice->length) != 0) goto refused;
  return fd;
refused:;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

/* Sockets of the group are numbered as they came: ICE's is 0. */
static int steer(int ice, unsigned receivers) {
  struct sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FIRST_RECORD_BYTE, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, 0),
      /* Loading what is not there would end the program with 0. */
      BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, INDEX_LOW_BYTE, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, 1),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, INDEX_LOW_BYTE),
      BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, receivers),
      BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 1),
      BPF_STMT(BPF_RET | BPF_A, 0),
  };
  struct sock_fprog filter = {.len = sizeof program / sizeof program[0], .filter = program};
  return setsockopt(ice, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &filter, sizeof filter);
}

int outer_open(struct outer *outer, uint16_t port, unsigned receivers, uint32_t mark, const char **step) {
  struct search ice = {.port = port, .fd = -1};
  *outer = (struct outer){.count = receivers};
  for (unsigned i = 0; i < OUTER_MAX; i++) outer->sockets[i] = -1;
  *step = "finding the UDP socket of ICE";
  if (!each_udp_socket(has_port, &ice)) return ENOENT;
  outer->family = ice.address.ss_family;
  int error = mark == 0 ? 0 : outer_mark(mark);
  *step = "SO_MARK";
  if (error != 0) return error;
  *step = "SO_REUSEPORT";
  if (set(ice.fd, SOL_SOCKET, SO_REUSEPORT, 1) != 0) return errno;
  for (unsigned i = 0; i < OUTER_MAX && error == 0; i++) {
    outer->sockets[i] = open_socket(&ice, mark, step);
    if (outer->sockets[i] < 0) error = errno;
    /* Before there is more than one of ours, so that none of ICE's packets goes astray for long. */
    if (error == 0 && i == 0) {
      *step = "SO_ATTACH_REUSEPORT_CBPF";
      if (steer(ice.fd, receivers) != 0) error = errno;
    }
  }
  if (error != 0) outer_close(outer);
  return error;
}

void outer_close(struct outer *outer) {
  for (unsigned i = 0; i < OUTER_MAX; i++) {
    if (outer->sockets[i] >= 0) close(outer->sockets[i]);
    outer->sockets[i] = -1;
  }
}

bool outer_endpoint(const struct outer *outer, const char *address, uint16_t port, struct endpoint *endpoint) {
  memset(endpoint, 0, sizeof *endpoint);
  char text[64];
  if (strlen(address) >= sizeof text) return false;
  strcpy(text, address);
  char *zone = strchr(text, '%');
  if (zone != NULL) *zone++ = '\0';
  struct in_addr ipv4;
  bool is_ipv4 = inet_pton(AF_INET, text, &ipv4) == 1;
  if (outer->family == AF_INET) {
    struct sockaddr_in *to = (struct sockaddr_in *)&endpoint->address;
    *to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = ipv4};
    endpoint->length = sizeof *to;
    return is_ipv4;
  }
  struct sockaddr_in6 *to = (struct sockaddr_in6 *)&endpoint->address;
  to->sin6_family = AF_INET6;
  to->sin6_port = htons(port);
  endpoint->length = sizeof *to;
  if (is_ipv4) {
    to->sin6_addr.s6_addr[10] = to->sin6_addr.s6_addr[11] = 0xff;
    memcpy(&to->sin6_addr.s6_addr[12], &ipv4, sizeof ipv4);
    return true;
  }
  if (zone != NULL) to->sin6_scope_id = if_nametoindex(zone);
  return inet_pton(AF_INET6, text, &to->sin6_addr) == 1;
}

bool endpoint_equals(const struct endpoint *a, const struct endpoint *b) {
  if (a->address.ss_family != b->address.ss_family) return false;
  if (a->address.ss_family == AF_INET) {
    const struct sockaddr_in *x = (const struct sockaddr_in *)&a->address;
    const struct sockaddr_in *y = (const struct sockaddr_in *)&b->address;
    return x->sin_port == y->sin_port && x->sin_addr.s_addr == y->sin_addr.s_addr;
  }
  const struct sockaddr_in6 *x = (const struct sockaddr_in6 *)&a->address;
  const struct sockaddr_in6 *y = (const struct sockaddr_in6 *)&b->address;
  return x->sin6_port == y->sin6_port && x->sin6_scope_id == y->sin6_scope_id &&
         memcmp(&x->sin6_addr, &y->sin6_addr, sizeof x->sin6_addr) == 0;
}

bool endpoint_is_ipv4(const struct endpoint *endpoint) {
  return endpoint->address.ss_family == AF_INET ||
         IN6_IS_ADDR_V4MAPPED(&((const struct sockaddr_in6 *)&endpoint->address)->sin6_addr);
}

uint32_t endpoint_overhead(const struct endpoint *endpoint) {
  return (endpoint_is_ipv4(endpoint) ? 20u : 40u) + (uint32_t)sizeof(struct udphdr);
}

uint16_t endpoint_text(const struct endpoint *endpoint, char text[64]) {
  const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)&endpoint->address;
  if (endpoint->address.ss_family == AF_INET) {
    inet_ntop(AF_INET, &((const struct sockaddr_in *)&endpoint->address)->sin_addr, text, 64);
  } else if (endpoint_is_ipv4(endpoint)) {
    inet_ntop(AF_INET, &ipv6->sin6_addr.s6_addr[12], text, 64);
  } else {
    char zone[IF_NAMESIZE];
    inet_ntop(AF_INET6, &ipv6->sin6_addr, text, 64);
    if (ipv6->sin6_scope_id != 0 && if_indextoname(ipv6->sin6_scope_id, zone) != NULL) {
      size_t used = strlen(text);
      snprintf(text + used, 64 - used, "%%%s", zone);
    }
  }
  return port_of(&endpoint->address);
}

/* Connecting a UDP socket is a look-up in the routing table, with the mark that records have. */
bool outer_source(const struct outer *outer, const struct endpoint *to, char text[64]) {
  if (to->length == 0) return false;
  int fd = socket(to->address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
  if (fd < 0) return false;
  int mark = 0;
  socklen_t length = sizeof mark;
  getsockopt(outer->sockets[0], SOL_SOCKET, SO_MARK, &mark, &length);
  if (mark != 0) set(fd, SOL_SOCKET, SO_MARK, mark);
  if (to->address.ss_family == AF_INET6) set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  struct endpoint own = {.length = sizeof own.address};
  bool found = connect(fd, (const struct sockaddr *)&to->address, to->length) == 0 &&
               getsockname(fd, (struct sockaddr *)&own.address, &own.length) == 0;
  close(fd);
  if (found) endpoint_text(&own, text);
  return found;
}

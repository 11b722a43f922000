#include "netlink.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A request of ours, header to last attribute. */
#define REQUEST_BYTES 512
/* What the kernel answers with in one datagram (NLMSG_GOODSIZE is at most this). */
#define REPLY_BYTES 8192
#define ALIAS_BYTES 255

struct request {
  struct nlmsghdr header;
  unsigned char body[REQUEST_BYTES - sizeof(struct nlmsghdr)];
};

/* Called for each message of the answer that is neither an acknowledgement nor the end. */
typedef void (*visitor)(const struct nlmsghdr *message, void *context);

static void start(struct request *request, uint16_t type, uint16_t flags, const void *fixed, size_t length) {
  memset(request, 0, sizeof *request);
  request->header.nlmsg_type = type;
  request->header.nlmsg_flags = NLM_F_REQUEST | flags;
  request->header.nlmsg_seq = 1;
  request->header.nlmsg_len = NLMSG_LENGTH(length);
  memcpy(request->body, fixed, length);
}

/* The attribute's offset, so that its length can grow when it nests others. Every caller's sum is below the buffer. */
static size_t append(struct request *request, uint16_t type, const void *value, size_t length) {
  size_t at = NLMSG_ALIGN(request->header.nlmsg_len);
  struct rtattr attribute = {.rta_type = type, .rta_len = (uint16_t)RTA_LENGTH(length)};
  unsigned char *place = (unsigned char *)request + at;
  memcpy(place, &attribute, sizeof attribute);
  if (length > 0) memcpy(place + RTA_LENGTH(0), value, length);
  request->header.nlmsg_len = (uint32_t)(at + RTA_ALIGN(attribute.rta_len));
  return at;
}

static void end_nest(struct request *request, size_t at) {
  uint16_t length = (uint16_t)(request->header.nlmsg_len - at);
  memcpy((unsigned char *)request + at + offsetof(struct rtattr, rta_len), &length, sizeof length);
}

/* Reads one datagram of the answer. Returns -1 while there is more to come, else 0 or errno. */
static int read_reply(int fd, visitor visit, void *context) {
  _Alignas(struct nlmsghdr) unsigned char reply[REPLY_BYTES];
  ssize_t received = recv(fd, reply, sizeof reply, MSG_TRUNC);
  if (received < 0) return errno == EINTR ? -1 : errno;
  size_t end = (size_t)received;
  if (end > sizeof reply) return EMSGSIZE;
  for (size_t at = 0; at + sizeof(struct nlmsghdr) <= end;) {
    const struct nlmsghdr *message = (const struct nlmsghdr *)(reply + at);
    if (message->nlmsg_len < sizeof *message || message->nlmsg_len > end - at) return EBADMSG;
    if (message->nlmsg_type == NLMSG_DONE) return 0;
    if (message->nlmsg_type == NLMSG_ERROR) return -((const struct nlmsgerr *)NLMSG_DATA(message))->error;
    visit(message, context);
    if ((message->nlmsg_flags & NLM_F_MULTI) == 0) return 0;
    at += NLMSG_ALIGN(message->nlmsg_len);
  }
  return -1;
}

static void ignore(const struct nlmsghdr *message, void *context) {
  (void)message;
  (void)context;
}

static int ask(const struct request *request, visitor visit, void *context) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return errno;
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  int error = -1;
  if (sendto(fd, request, request->header.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0) {
    error = errno;
  }
  while (error == -1) error = read_reply(fd, visit, context);
  close(fd);
  return error;
}

static void start_link(struct request *request, unsigned ifindex, unsigned flags, unsigned change) {
  struct ifinfomsg link = {.ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex, .ifi_flags = flags, .ifi_change = change};
  start(request, RTM_NEWLINK, NLM_F_ACK, &link, sizeof link);
}

int netlink_set_mtu(unsigned ifindex, uint32_t bytes) {
  struct request request;
  start_link(&request, ifindex, 0, 0);
  append(&request, IFLA_MTU, &bytes, sizeof bytes);
  return ask(&request, ignore, NULL);
}

static void append_address_generation(struct request *request) {
  uint8_t none = IN6_ADDR_GEN_MODE_NONE;
  size_t inet6 = append(request, AF_INET6 | NLA_F_NESTED, NULL, 0);
  append(request, IFLA_INET6_ADDR_GEN_MODE, &none, sizeof none);
  end_nest(request, inet6);
}

int netlink_stop_address_generation(unsigned ifindex) {
  struct request request;
  start_link(&request, ifindex, 0, 0);
  size_t families = append(&request, IFLA_AF_SPEC | NLA_F_NESTED, NULL, 0);
  append_address_generation(&request);
  end_nest(&request, families);
  return ask(&request, ignore, NULL);
}

static void read_dropped(const struct nlmsghdr *message, void *context) {
  int left = (int)IFLA_PAYLOAD(message);
  if (message->nlmsg_type != RTM_NEWLINK) return;
  const struct rtattr *part = IFLA_RTA((const struct ifinfomsg *)NLMSG_DATA(message));
  for (; RTA_OK(part, left); part = RTA_NEXT(part, left)) {
    struct rtnl_link_stats64 statistics;
    size_t least = offsetof(struct rtnl_link_stats64, tx_dropped) + sizeof statistics.tx_dropped;
    if (part->rta_type != IFLA_STATS64 || RTA_PAYLOAD(part) < least) continue;
    memcpy(&statistics, RTA_DATA(part), least);
    *(uint64_t *)context = statistics.tx_dropped;
  }
}

int netlink_dropped(unsigned ifindex, uint64_t *packets) {
  struct ifinfomsg link = {.ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex};
  struct request request;
  start(&request, RTM_GETLINK, 0, &link, sizeof link);
  *packets = 0;
  return ask(&request, read_dropped, packets);
}

int netlink_set_up(unsigned ifindex) {
  struct request request;
  start_link(&request, ifindex, IFF_UP, IFF_UP);
  return ask(&request, ignore, NULL);
}

static int change_address(uint16_t type, uint16_t flags, unsigned ifindex, int family, const void *address,
                          uint8_t prefix_length) {
  size_t length = family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
  struct ifaddrmsg message = {
      .ifa_family = (unsigned char)family, .ifa_prefixlen = prefix_length, .ifa_index = ifindex};
  if (family == AF_INET6) message.ifa_flags = IFA_F_NODAD;
  struct request request;
  start(&request, type, NLM_F_ACK | flags, &message, sizeof message);
  append(&request, IFA_LOCAL, address, length);
  append(&request, IFA_ADDRESS, address, length);
  return ask(&request, ignore, NULL);
}

int netlink_add_address(unsigned ifindex, const struct in6_addr *address, uint8_t prefix_length) {
  return change_address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, ifindex, AF_INET6, address, prefix_length);
}

int netlink_give_address(unsigned ifindex, int family, const void *address, uint8_t prefix_length) {
  return change_address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, ifindex, family, address, prefix_length);
}

int netlink_take_address(unsigned ifindex, int family, const void *address, uint8_t prefix_length) {
  int error = change_address(RTM_DELADDR, 0, ifindex, family, address, prefix_length);
  return error == EADDRNOTAVAIL ? 0 : error;
}

struct stray {
  unsigned ifindex;
  const struct in6_addr *kept;
  struct in6_addr address;
  uint8_t prefix_length;
  int found;
};

static void find_stray(const struct nlmsghdr *message, void *context) {
  struct stray *stray = context;
  const struct ifaddrmsg *address = NLMSG_DATA(message);
  if (stray->found || address->ifa_index != stray->ifindex || address->ifa_family != AF_INET6) return;
  int left = (int)IFA_PAYLOAD(message);
  for (struct rtattr *attribute = IFA_RTA(address); RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
    if (attribute->rta_type != IFA_ADDRESS || memcmp(RTA_DATA(attribute), stray->kept, sizeof *stray->kept) == 0) {
      continue;
    }
    memcpy(&stray->address, RTA_DATA(attribute), sizeof stray->address);
    stray->prefix_length = address->ifa_prefixlen;
    stray->found = 1;
  }
}

int netlink_remove_other_addresses(unsigned ifindex, const struct in6_addr *kept) {
  for (;;) {
    struct ifaddrmsg message = {.ifa_family = AF_INET6, .ifa_index = ifindex};
    struct request request;
    start(&request, RTM_GETADDR, NLM_F_DUMP, &message, sizeof message);
    struct stray stray = {.ifindex = ifindex, .kept = kept};
    int error = ask(&request, find_stray, &stray);
    if (error != 0 || !stray.found) return error;
    error = change_address(RTM_DELADDR, 0, ifindex, AF_INET6, &stray.address, stray.prefix_length);
    if (error != 0 && error != EADDRNOTAVAIL) return error;
  }
}

struct setting {
  unsigned short type;
  uint32_t value;
};

static void append_ipv4(struct request *request, const struct setting *wanted, unsigned count) {
  size_t inet = append(request, AF_INET | NLA_F_NESTED, NULL, 0);
  size_t settings = append(request, IFLA_INET_CONF | NLA_F_NESTED, NULL, 0);
  for (unsigned i = 0; i < count; i++) append(request, wanted[i].type, &wanted[i].value, sizeof wanted[i].value);
  end_nest(request, settings);
  end_nest(request, inet);
}

int netlink_set_rp_filter(unsigned ifindex, uint32_t mode) {
  const struct setting setting = {IPV4_DEVCONF_RP_FILTER, mode};
  struct request request;
  start_link(&request, ifindex, 0, 0);
  size_t families = append(&request, IFLA_AF_SPEC | NLA_F_NESTED, NULL, 0);
  append_ipv4(&request, &setting, 1);
  end_nest(&request, families);
  return ask(&request, ignore, NULL);
}

static int configure(unsigned ifindex, const struct netlink_settings *settings, bool ipv6) {
  const struct setting ipv4[] = {
      {IPV4_DEVCONF_RP_FILTER, 0}, {IPV4_DEVCONF_ACCEPT_REDIRECTS, 0}, {IPV4_DEVCONF_SEND_REDIRECTS, 0}};
  size_t alias = strlen(settings->alias);
  struct request request;
  start_link(&request, ifindex, 0, 0);
  append(&request, IFLA_MTU, &settings->mtu, sizeof settings->mtu);
  append(&request, IFLA_TXQLEN, &settings->queue_length, sizeof settings->queue_length);
  if (alias > 0) append(&request, IFLA_IFALIAS, settings->alias, alias);
  size_t families = append(&request, IFLA_AF_SPEC | NLA_F_NESTED, NULL, 0);
  append_ipv4(&request, ipv4, sizeof ipv4 / sizeof ipv4[0]);
  if (ipv6) append_address_generation(&request);
  end_nest(&request, families);
  return ask(&request, ignore, NULL);
}

int netlink_configure(unsigned ifindex, const struct netlink_settings *settings) {
  if (strlen(settings->alias) > ALIAS_BYTES) return ERANGE;
  int error = configure(ifindex, settings, true);
  /* The host has no IPv6, or the MTU is too small for it. */
  return error == EAFNOSUPPORT || error == EOPNOTSUPP ? configure(ifindex, settings, false) : error;
}

struct way {
  struct netlink_route *route;
  size_t address_length;
  unsigned char type; /* RTN_* */
};

static void read_route(const struct nlmsghdr *message, void *context) {
  struct way *way = context;
  const struct rtmsg *answer = NLMSG_DATA(message);
  way->type = answer->rtm_type;
  int left = (int)RTM_PAYLOAD(message);
  for (struct rtattr *attribute = RTM_RTA(answer); RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
    if (attribute->rta_type == RTA_OIF) memcpy(&way->route->ifindex, RTA_DATA(attribute), sizeof way->route->ifindex);
    if (attribute->rta_type == RTA_PREFSRC && RTA_PAYLOAD(attribute) == way->address_length) {
      memcpy(way->route->source, RTA_DATA(attribute), way->address_length);
      way->route->has_source = 1;
    }
  }
}

int netlink_route(int family, const void *address, uint32_t mark, struct netlink_route *route) {
  size_t length = family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
  struct rtmsg message = {.rtm_family = (unsigned char)family, .rtm_dst_len = (unsigned char)(length * 8)};
  struct request request;
  start(&request, RTM_GETROUTE, 0, &message, sizeof message);
  append(&request, RTA_DST, address, length);
  if (mark != 0) append(&request, RTA_MARK, &mark, sizeof mark);
  *route = (struct netlink_route){0};
  struct way way = {.route = route, .address_length = length};
  int error = ask(&request, read_route, &way);
  if (error != 0) return error;
  switch (way.type) {
    case RTN_UNREACHABLE:
      return EHOSTUNREACH;
    case RTN_PROHIBIT:
      return EACCES;
    case RTN_BLACKHOLE:
      return EINVAL;
    default:
      return way.type <= RTN_MULTICAST && route->ifindex != 0 ? 0 : ENETUNREACH;
  }
}

struct link_visit {
  void (*visit)(const struct netlink_link *link, void *context);
  void *context;
};

/* The attribute of this type within another one, or NULL. */
static struct rtattr *nested(struct rtattr *within, unsigned short type) {
  int left = (int)RTA_PAYLOAD(within);
  for (struct rtattr *attribute = RTA_DATA(within); RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
    if ((attribute->rta_type & NLA_TYPE_MASK) == type) return attribute;
  }
  return NULL;
}

static int is_text(const struct rtattr *attribute) {
  size_t length = RTA_PAYLOAD(attribute);
  return length > 0 && ((const char *)RTA_DATA(attribute))[length - 1] == '\0';
}

/* The settings are an array in the order of their numbers, the first of which is 1. */
static uint32_t rp_filter_of(struct rtattr *families) {
  uint32_t mode = 0;
  struct rtattr *inet = nested(families, AF_INET);
  struct rtattr *settings = inet == NULL ? NULL : nested(inet, IFLA_INET_CONF);
  size_t at = (IPV4_DEVCONF_RP_FILTER - 1) * sizeof mode;
  if (settings != NULL && RTA_PAYLOAD(settings) >= at + sizeof mode) {
    memcpy(&mode, (const unsigned char *)RTA_DATA(settings) + at, sizeof mode);
  }
  return mode;
}

static void read_link(const struct nlmsghdr *message, void *context) {
  const struct link_visit *visit = context;
  const struct ifinfomsg *answer = NLMSG_DATA(message);
  if (message->nlmsg_type != RTM_NEWLINK) return;
  struct netlink_link link = {
      .ifindex = (unsigned)answer->ifi_index, .flags = answer->ifi_flags, .name = "", .kind = ""};
  int left = (int)IFLA_PAYLOAD(message);
  for (struct rtattr *attribute = IFLA_RTA(answer); RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
    unsigned short type = attribute->rta_type & NLA_TYPE_MASK;
    if (type == IFLA_IFNAME && is_text(attribute)) link.name = RTA_DATA(attribute);
    if (type == IFLA_AF_SPEC) link.rp_filter = rp_filter_of(attribute);
    if (type == IFLA_LINKINFO) {
      struct rtattr *kind = nested(attribute, IFLA_INFO_KIND);
      if (kind != NULL && is_text(kind)) link.kind = RTA_DATA(kind);
    }
  }
  visit->visit(&link, visit->context);
}

int netlink_each_link(void (*visit)(const struct netlink_link *link, void *context), void *context) {
  struct ifinfomsg message = {.ifi_family = AF_UNSPEC};
  uint32_t leave_out = RTEXT_FILTER_SKIP_STATS;
  struct request request;
  start(&request, RTM_GETLINK, NLM_F_DUMP, &message, sizeof message);
  append(&request, IFLA_EXT_MASK, &leave_out, sizeof leave_out);
  struct link_visit visits = {visit, context};
  return ask(&request, read_link, &visits);
}

struct address_visit {
  void (*visit)(const struct netlink_address *address, void *context);
  void *context;
};

static void read_address(const struct nlmsghdr *message, void *context) {
  const struct address_visit *visit = context;
  const struct ifaddrmsg *answer = NLMSG_DATA(message);
  if (message->nlmsg_type != RTM_NEWADDR || (answer->ifa_family != AF_INET && answer->ifa_family != AF_INET6)) return;
  size_t length = answer->ifa_family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
  struct netlink_address address = {
      .ifindex = answer->ifa_index,
      .family = answer->ifa_family,
      .flags = answer->ifa_flags,
      .prefix_length = answer->ifa_prefixlen,
      .scope = answer->ifa_scope,
  };
  int left = (int)IFA_PAYLOAD(message);
  for (struct rtattr *attribute = IFA_RTA(answer); RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
    /* On a point-to-point interface IFA_ADDRESS is the other end's, where there is IFA_LOCAL as well. */
    int is_own = attribute->rta_type == IFA_LOCAL || (attribute->rta_type == IFA_ADDRESS && address.address == NULL);
    if (is_own && RTA_PAYLOAD(attribute) == length) address.address = RTA_DATA(attribute);
    if (attribute->rta_type == IFA_FLAGS) memcpy(&address.flags, RTA_DATA(attribute), sizeof address.flags);
  }
  if (address.address != NULL) visit->visit(&address, visit->context);
}

int netlink_each_address(void (*visit)(const struct netlink_address *address, void *context), void *context) {
  struct ifaddrmsg message = {.ifa_family = AF_UNSPEC};
  struct request request;
  start(&request, RTM_GETADDR, NLM_F_DUMP, &message, sizeof message);
  struct address_visit visits = {visit, context};
  return ask(&request, read_address, &visits);
}

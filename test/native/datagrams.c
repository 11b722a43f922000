/* datagrams <address>: prints each datagram that comes there, on one line; '@' begins an abstract name. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  size_t length = strlen(argv[1]);
  if (length >= sizeof at.sun_path) return 2;
  memcpy(at.sun_path, argv[1], length);
  if (argv[1][0] == '@') at.sun_path[0] = '\0';
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (argv[1][0] == '@' ? 0 : 1));
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  if (fd < 0 || bind(fd, (const struct sockaddr *)&at, size) != 0) {
    perror("datagrams");
    return 1;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  puts("bound");
  char text[4096];
  for (;;) {
    ssize_t received = recv(fd, text, sizeof text - 1, 0);
    if (received < 0) return 1;
    for (ssize_t i = 0; i < received; i++) {
      if (text[i] == '\n') text[i] = ' ';
    }
    text[received] = '\0';
    puts(text);
  }
}

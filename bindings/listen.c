#include "listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "native.h"

enum { BACKLOG = 1024 };

static int is_loopback(const struct sockaddr *a) {
  if (a->sa_family == AF_INET)
    return ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >> 24 == 127;
  return a->sa_family == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr);
}

int ft_listen_socket(lua_State *L, const char *host, int port, bool any) {
  char service[16];
  snprintf(service, sizeof service, "%d", port);
  struct addrinfo *a = NULL, hints = {.ai_socktype = SOCK_STREAM,
                                      .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
  if (getaddrinfo(strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, service, &hints, &a)) {
    ft_fail(L, "io", "%s is not an IP address to listen on", host);
    return -1;
  }
  if (!any && !is_loopback(a->ai_addr)) {
    freeaddrinfo(a);
    ft_fail(L, "denied", "%s is not a loopback address; the server would be open to others", host);
    return -1;
  }
  const int on = 1;
  int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int ok = fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) &&
           !bind(fd, a->ai_addr, a->ai_addrlen) && !listen(fd, BACKLOG);
  int error = errno;
  freeaddrinfo(a);
  if (ok) return fd;
  if (fd >= 0) close(fd);
  if (error == EADDRINUSE)
    ft_fail(L, "in_use", "port %d is in use on %s", port, host);
  else
    ft_fail(L, error == EACCES ? "denied" : "io", "cannot listen on %s port %d: %s", host, port,
            strerror(error));
  return -1;
}

int ft_listen_port(int fd) {
  struct sockaddr_storage a;
  socklen_t len = sizeof a;
  if (getsockname(fd, (struct sockaddr *)&a, &len)) return 0;
  return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                       : ((struct sockaddr_in *)&a)->sin_port);
}

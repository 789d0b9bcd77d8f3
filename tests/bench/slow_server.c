/* slow_server MILLISECONDS: an HTTP server that answers each request with the same chat completion,
 * so many milliseconds after its last byte came. It prints its port, then runs until it is killed.
 * One thread and epoll; all delays are equal, so that what is owed is a queue. For benchmarks of
 * clients: it understands no more of HTTP than they need. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { REQUEST_BYTES = 1 << 16, FDS = 4096, OWED = 1 << 14 };

static const char BODY[] =
    "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1795327200,\"model\":\"gpt-4o-mini\","
    "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"{\\\"elements\\\":[{\\\"number\\\":"
    "\\\"5\\\"}]}\",\"refusal\":null},\"finish_reason\":\"stop\",\"logprobs\":null}],\"usage\":{\"prompt_tokens\":"
    "100,\"completion_tokens\":12,\"total_tokens\":112}}";

struct client {
  size_t len;
  unsigned life; /* counts the connections that had this descriptor */
  char data[REQUEST_BYTES];
};

static struct client *clients[FDS];

static struct {
  int fd;
  unsigned life;
  long long due_us;
} owed[OWED];
static size_t first, last;

static long long now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

/* Bytes of the first whole request, or 0. */
static size_t whole(struct client *c) {
  char *end = memmem(c->data, c->len, "\r\n\r\n", 4);
  if (!end) return 0;
  size_t head = (size_t)(end - c->data) + 4, body = 0;
  for (char *line = c->data; line < end; line = (char *)memchr(line, '\n', head) + 1)
    if (strncasecmp(line, "content-length:", 15) == 0) body = strtoul(line + 15, NULL, 10);
  return c->len >= head + body ? head + body : 0;
}

static void hear(int fd, long long delay_us) {
  struct client *c = clients[fd];
  for (;;) {
    ssize_t n = recv(fd, c->data + c->len, sizeof c->data - c->len, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
      c->life++;
      close(fd);
      return;
    }
    c->len += (size_t)n;
    size_t used;
    while ((used = whole(c))) {
      c->len -= used;
      memmove(c->data, c->data + used, c->len);
      owed[last % OWED].fd = fd;
      owed[last % OWED].life = c->life;
      owed[last++ % OWED].due_us = now_us() + delay_us;
    }
  }
}

static void take(int listener, int poll) {
  int fd, on = 1;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    if (fd >= FDS) {
      close(fd);
      continue;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!clients[fd] && !(clients[fd] = calloc(1, sizeof **clients))) exit(1);
    clients[fd]->len = 0;
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &e);
  }
}

int main(int argc, char **argv) {
  long long delay_us = argc > 1 ? strtol(argv[1], NULL, 10) * 1000 : 100000;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int poll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event e = {.events = EPOLLIN, .data.fd = listener};
  if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 1024) ||
      getsockname(listener, (struct sockaddr *)&address, &size) ||
      epoll_ctl(poll, EPOLL_CTL_ADD, listener, &e)) {
    perror("slow_server");
    return 1;
  }
  signal(SIGPIPE, SIG_IGN);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  char answer[1024];
  int bytes =
      snprintf(answer, sizeof answer,
               "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
               "x-ratelimit-limit-requests: 1000000\r\nx-ratelimit-remaining-requests: 999000\r\n"
               "x-ratelimit-reset-requests: 60ms\r\n\r\n%s",
               sizeof BODY - 1, BODY);
  for (;;) {
    long long wait = first < last ? owed[first % OWED].due_us - now_us() : 60000000;
    struct timespec limit = {wait > 0 ? wait / 1000000 : 0, wait > 0 ? wait % 1000000 * 1000 : 0};
    struct epoll_event events[256];
    int n = epoll_pwait2(poll, events, 256, &limit, NULL);
    for (int i = 0; i < n; i++) {
      if (events[i].data.fd == listener)
        take(listener, poll);
      else
        hear(events[i].data.fd, delay_us);
    }
    for (long long now = now_us(); first < last && owed[first % OWED].due_us <= now; first++) {
      int fd = owed[first % OWED].fd;
      if (clients[fd]->life == owed[first % OWED].life)
        (void)!send(fd, answer, (size_t)bytes, MSG_DONTWAIT);
    }
  }
}

/* ft.server: libmicrohttpd inside the event loop. Its epoll descriptor sits in one ft_wait. When
 * all of a request is here, the connection is suspended and the request queued; the dispatcher, a
 * task, starts a task for each; that one runs the handler, leaves the answer in the request and
 * resumes the connection. MHD's callbacks touch requests and never Lua. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bindings.h"
#include "log.h"
#include "task.h"
#include "native.h"
#include "server_request.h"

enum {
  BACKLOG = 1024,
  CONNECTION_MEMORY_BYTES = 64 * 1024,
  MAX_CONNECTIONS = 900,
  CROWD = MAX_CONNECTIONS * 3 / 4, /* from so many on, those that ask nothing have to go */
  BODY_STEP_BYTES = 320 * 1024,    /* of a body, or its end, that must come within body_s */
};

static const double SWEEP_INTERVAL_S = 0.25, CROWDED_HEAD_S = 1;
static const char SERVER[] = "ft.server.Server";

/* User values: 1 the handler, 2 the dispatcher's Task, which keeps its memory valid as long as
 * ours. */
/* A connection that asks nothing at the moment: new, or after an answer. MHD's own timeout begins
 * anew with each byte, so that of one that never ends its request's head it sees no end. */
struct silent {
  int fd;
  double since_s, until_s; /* INFINITY while a request is under way */
  struct silent *next, **link;
};

struct server {
  struct ft_wait wait; /* first: the wait's callback casts */
  struct ft_loop *loop;
  struct MHD_Daemon *daemon; /* NULL when closed */
  struct ft_request *requests;
  struct silent *connections;
  int connection_count;
  double head_s, idle_s, first_until_s; /* of all until_s none is earlier */
  double body_s;
  char *late_body; /* of the 408; may be NULL */
  struct ft_request *queue, **queue_tail;
  struct ft_task *dispatcher;
  struct ft_body_limits limits;
  char *spool;
  int port;
  double next_sweep_s;
};

/* ---- MHD's side ---- */

static bool crowded(const struct server *s) {
  return s->connection_count >= CROWD;
}

static void arm(struct server *s) {
  MHD_UNSIGNED_LONG_LONG wait_ms;
  double now = ft_now_s();
  s->wait.deadline_s =
      MHD_get_timeout(s->daemon, &wait_ms) == MHD_YES ? now + (double)wait_ms / 1e3 : INFINITY;
  if (s->requests || crowded(s))
    s->wait.deadline_s = fmin(s->wait.deadline_s, now + SWEEP_INTERVAL_S);
  s->wait.deadline_s = fmin(s->wait.deadline_s, s->first_until_s);
  ft_wait_start(s->loop, &s->wait);
}

static void enqueue(struct server *s, struct ft_request *r) {
  r->queued = true;
  ft_request_ref(r);
  r->next_queued = NULL;
  *s->queue_tail = r;
  s->queue_tail = &r->next_queued;
  ft_task_wake(s->dispatcher);
}

/* The client has closed its connection, or will send no more: bytes may lie before that. */
static bool has_left(int fd) {
  struct pollfd p = {.fd = fd, .events = POLLRDHUP};
  return poll(&p, 1, 0) > 0 && p.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

/* MHD looks at no suspended connection: whether the client of a waiting handler has left is seen
 * here, and the dispatcher ends the task.
 *
 * It also asks its epoll for edges, and misses the end of a stream that came together with the last
 * bytes: a client that died while sending would keep its spooled file until the idle timeout. Shut
 * down here, the socket makes the edge that MHD notices.
 *
 * False: it was done a moment ago. */
static bool sweep(struct server *s) {
  double now = ft_now_s();
  if (now < s->next_sweep_s) return false;
  s->next_sweep_s = now + SWEEP_INTERVAL_S;
  for (struct ft_request *r = s->requests; r; r = r->next) {
    char byte;
    int fd = MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    if (r->dispatched) {
      /* For want of memory a task may end before it began. */
      if (ft_task_finished(r->task ? r->task : s->dispatcher))
        ft_request_cut(r);
      else if (r->task && !r->queued && has_left(fd))
        enqueue(s, r);
      continue;
    }
    if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) shutdown(fd, SHUT_RDWR);
  }
  return true;
}

/* A body that comes too slowly. MHD takes no answer before the whole request is there, and has sent
 * nothing yet: so we write it to the socket ourselves, and end the connection. */
static void end_late(const struct server *s, const struct ft_request *r, int fd) {
  struct ft_buf answer;
  const char *body = s->late_body ? s->late_body : "";
  ft_log(FT_LOG_INFO, "http server: %s %s: its body came too slowly", r->method, r->path);
  ft_buf_init(&answer, 64 * 1024);
  if (!ft_buf_addf(&answer,
                   "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"
                   "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                   strlen(body), body))
    (void)!send(fd, answer.data, answer.len, MSG_DONTWAIT | MSG_NOSIGNAL);
  ft_buf_free(&answer);
  shutdown(fd, SHUT_RDWR);
}

/* Called when MHD has read what was there: where bytes still lie ready it is we who are slow. */
static void sweep_late(struct server *s) {
  double now = ft_now_s();
  for (struct ft_request *r = s->requests; r; r = r->next) {
    char byte;
    if (r->dispatched || now < r->until_s) continue;
    int fd = MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0) continue;
    r->until_s = INFINITY;
    end_late(s, r, fd);
  }
}

static void expect_request(struct server *s, struct silent *c, double within_s) {
  c->since_s = ft_now_s();
  c->until_s = within_s > 0 ? c->since_s + within_s : INFINITY;
  s->first_until_s = fmin(s->first_until_s, c->until_s);
}

/* Ends connections that have asked nothing for too long: shut down, they are seen by MHD. */
static void end_silent(struct server *s) {
  double now = ft_now_s();
  if (now < s->first_until_s && !crowded(s)) return;
  s->first_until_s = INFINITY;
  for (struct silent *c = s->connections; c; c = c->next) {
    if (c->until_s == INFINITY) continue;
    if (crowded(s)) c->until_s = fmin(c->until_s, c->since_s + CROWDED_HEAD_S);
    if (now < c->until_s) {
      s->first_until_s = fmin(s->first_until_s, c->until_s);
    } else {
      shutdown(c->fd, SHUT_RDWR);
      c->until_s = INFINITY;
    }
  }
}

static void on_connection(void *user, struct MHD_Connection *c, void **slot,
                          enum MHD_ConnectionNotificationCode what) {
  struct server *s = user;
  struct silent *made = *slot;
  if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
    if (!made) return;
    *made->link = made->next;
    if (made->next) made->next->link = made->link;
    s->connection_count--;
    free(made);
    *slot = NULL;
    return;
  }
  made = *slot = calloc(1, sizeof *made);
  if (!made) return; /* then MHD's own timeout has to do */
  made->fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
  made->next = s->connections;
  made->link = &s->connections;
  if (made->next) made->next->link = &made->next;
  s->connections = made;
  s->connection_count++;
  expect_request(s, made, s->head_s);
}

static struct silent *silent_of(struct MHD_Connection *c) {
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  return info ? info->socket_context : NULL;
}

static void on_ready(struct ft_wait *w, short revents) {
  struct server *s = (struct server *)w;
  (void)revents;
  bool swept = sweep(s);
  end_silent(s);
  MHD_run(s->daemon);
  if (swept) sweep_late(s);
  arm(s);
}

/* Lets MHD run at the loop's next turn: a connection was resumed. */
static void kick(void *user) {
  struct server *s = user;
  if (!s->daemon) return;
  s->wait.deadline_s = 0;
  ft_wait_start(s->loop, &s->wait);
}

/* The next step of its body must have come by then. */
static void expect_body(const struct server *s, struct ft_request *r) {
  r->until_s = s->body_s > 0 ? ft_now_s() + s->body_s : INFINITY;
}

static struct ft_request *add_request(struct server *s, struct MHD_Connection *c) {
  struct ft_request *r = ft_request_new(c, &s->limits);
  if (!r) return NULL;
  r->on_resume = kick;
  r->server = s;
  expect_body(s, r);
  r->next = s->requests;
  r->link = &s->requests;
  if (r->next) r->next->link = &r->next;
  s->requests = r;
  return r;
}

static enum MHD_Result on_access(void *user, struct MHD_Connection *c, const char *url,
                                 const char *method, const char *version, const char *data,
                                 size_t *len, void **slot) {
  struct server *s = user;
  struct ft_request *r = *slot;
  (void)version;
  if (!r) {
    r = *slot = add_request(s, c);
    if (!r) return MHD_NO;
    struct silent *connection = silent_of(c);
    if (connection) connection->until_s = INFINITY;
    r->method = method;
    r->path = url;
    if (!ft_request_hopeless(r)) return MHD_YES;
  }
  if (r->cut) return MHD_NO;
  if (r->response) return MHD_queue_response(c, r->status, r->response);
  if (*len) {
    bool go_on = ft_body_feed(&r->body, data, *len);
    r->step_bytes += *len;
    if (r->step_bytes >= BODY_STEP_BYTES) {
      r->step_bytes %= BODY_STEP_BYTES;
      expect_body(s, r);
    }
    *len = 0;
    return go_on ? MHD_YES : MHD_NO;
  }
  if (!r->dispatched) {
    r->dispatched = true;
    ft_body_end(&r->body);
    enqueue(s, r);
  }
  ft_request_suspend(r);
  return MHD_YES;
}

static void on_completed(void *user, struct MHD_Connection *c, void **slot,
                         enum MHD_RequestTerminationCode how) {
  struct server *s = user;
  struct ft_request *r = *slot;
  struct silent *connection = silent_of(c);
  (void)how;
  if (connection) expect_request(s, connection, s->idle_s);
  if (!r) return;
  *slot = NULL;
  *r->link = r->next;
  if (r->next) r->next->link = r->link;
  r->connection = NULL;
  r->server = NULL;
  if (r->task && !r->queued) enqueue(s, r); /* answers nobody: the dispatcher ends the task */
  ft_request_unref(r);
}

static void on_log(void *user, const char *format, va_list args) {
  char text[512];
  (void)user;
  vsnprintf(text, sizeof text, format, args);
  ft_log(FT_LOG_DEBUG, "http server: %s", text);
}

/* As MHD's own, but %00 stays as it is: it would cut the text short. */
static size_t unescape(void *user, struct MHD_Connection *c, char *s) {
  (void)user, (void)c;
  char *out = s;
  for (char *in = s; *in; in++) {
    char hex[3] = {0};
    if (in[0] == '%' && in[1] && in[2]) memcpy(hex, in + 1, 2);
    char *end = hex;
    long byte = *hex && *hex != '+' && *hex != '-' && *hex != ' ' ? strtol(hex, &end, 16) : 0;
    if (end == hex + 2 && byte) {
      *out++ = (char)byte;
      in += 2;
    } else {
      *out++ = *in;
    }
  }
  *out = '\0';
  return (size_t)(out - s);
}

/* ---- tasks ---- */

/* Runs in a protected call: (server, request). */
static int start_request(lua_State *L) {
  struct ft_request *r = lua_touserdata(L, 2);
  r->started = true;
  ft_request_box(L, r); /* 3 */
  lua_pushcfunction(L, ft_request_run);
  lua_getiuservalue(L, 1, 1);
  lua_pushvalue(L, 3);
  ft_request_push(L, r);
  r->task = ft_task_spawn(L, 3);
  lua_setiuservalue(L, 3, 1); /* r->task lives as long as the box, which clears it */
  return 0;
}

/* Stack: server. Runs as a task until the server is closed. */
static int dispatch(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  struct server *s = lua_touserdata(L, 1);
  while (s->queue) {
    struct ft_request *r = s->queue;
    s->queue = r->next_queued;
    if (!s->queue) s->queue_tail = &s->queue;
    r->queued = false;
    if (r->task) {
      ft_task_cancel(L, r->task);
    } else if (r->connection && !r->started) {
      lua_pushcfunction(L, start_request);
      lua_pushvalue(L, 1);
      lua_pushlightuserdata(L, r);
      if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
        lua_pop(L, 1);
        ft_request_fail(r);
      }
    }
    ft_request_unref(r);
  }
  if (!s->daemon) return 0;
  return ft_task_suspend(L, 0, dispatch);
}

static int run_dispatcher(lua_State *L) {
  return dispatch(L, LUA_OK, 0);
}

/* ---- Lua's side ---- */

static int server_close(lua_State *L) {
  struct server *s = luaL_checkudata(L, 1, SERVER);
  struct MHD_Daemon *daemon = s->daemon;
  if (daemon) {
    s->daemon = NULL; /* closing a handler's variables may call us again */
    ft_wait_stop(&s->wait);
    for (struct ft_request *r = s->requests; r; r = r->next) {
      if (r->task) ft_task_cancel(L, r->task);
      r->task = NULL;
      ft_request_cut(r); /* MHD refuses to stop with suspended connections */
    }
    MHD_stop_daemon(daemon);
    if (s->dispatcher) ft_task_wake(s->dispatcher);
  }
  while (s->queue) {
    struct ft_request *r = s->queue;
    s->queue = r->next_queued;
    ft_request_unref(r);
  }
  s->queue_tail = &s->queue;
  free(s->spool);
  free(s->late_body);
  s->spool = s->late_body = NULL;
  return 0;
}

static int server_port(lua_State *L) {
  struct server *s = luaL_checkudata(L, 1, SERVER);
  lua_pushinteger(L, s->port);
  return 1;
}

static int is_loopback(const struct sockaddr *a) {
  if (a->sa_family == AF_INET)
    return ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >> 24 == 127;
  return a->sa_family == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr);
}

/* A listening socket, or a failure pushed and -1. */
static int open_socket(lua_State *L, const char *host, int port, bool any) {
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

static int port_of(int fd) {
  struct sockaddr_storage a;
  socklen_t len = sizeof a;
  if (getsockname(fd, (struct sockaddr *)&a, &len)) return 0;
  return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                       : ((struct sockaddr_in *)&a)->sin_port);
}

static struct MHD_Daemon *start_daemon(struct server *s, int fd, unsigned timeout_s) {
  return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL,
                          NULL, on_access, s, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
                          MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL, MHD_OPTION_NOTIFY_COMPLETED,
                          on_completed, s, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
                          MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                          (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_CONNECTION_LIMIT,
                          (unsigned)MAX_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, timeout_s,
                          MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
}

static double option_in(lua_State *L, const char *key, double dflt, double low, double high) {
  double n = ft_opt_number(L, 1, key, dflt);
  if (!(n >= low && n <= high)) luaL_argerror(L, 1, lua_pushfstring(L, "%s: out of range", key));
  return n;
}

static int server_listen(lua_State *L) {
  static const char *const keys[] = {"host",   "any",          "port",         "handler",
                                     "spool",  "memory_bytes", "upload_bytes", "timeout_s",
                                     "head_s", "body_s",       "late_body",    NULL};
  ft_check_keys(L, 1, keys);
  lua_settop(L, 1);
  const char *host = ft_opt_string(L, 1, "host", "127.0.0.1", NULL);
  const char *spool = ft_opt_string(L, 1, "spool", NULL, NULL);
  const char *late_body = ft_opt_string(L, 1, "late_body", NULL, NULL);
  bool any = ft_opt_boolean(L, 1, "any", false);
  int port = (int)option_in(L, "port", 0, 0, 65535);
  unsigned timeout_s = (unsigned)ceil(option_in(L, "timeout_s", 120, 0, 1e6));
  double head_s = option_in(L, "head_s", 10, 0, 1e6);
  double body_s = option_in(L, "body_s", 20, 0, 1e6);
  size_t memory_bytes = (size_t)option_in(L, "memory_bytes", 64 << 20, 0, 1e15);
  uint64_t upload_bytes = (uint64_t)option_in(L, "upload_bytes", 512 << 20, 0, 1e15);
  luaL_argcheck(L, lua_getfield(L, 1, "handler") == LUA_TFUNCTION, 1,
                "handler: expected a function");

  struct server *s = lua_newuserdatauv(L, sizeof *s, 2); /* 3 */
  *s = (struct server){.loop = ft_loop_of(L),
                       .queue_tail = &s->queue,
                       .head_s = head_s,
                       .body_s = body_s,
                       .idle_s = timeout_s,
                       .first_until_s = INFINITY};
  luaL_setmetatable(L, SERVER);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, 3, 1);
  s->spool = spool ? strdup(spool) : NULL;
  s->late_body = late_body ? strdup(late_body) : NULL;
  if ((spool && !s->spool) || (late_body && !s->late_body))
    return luaL_error(L, "not enough memory");
  s->limits = (struct ft_body_limits){s->spool, memory_bytes, upload_bytes};
  int fd = open_socket(L, host, port, any);
  if (fd < 0) return 3;
  s->port = port_of(fd);
  s->daemon = start_daemon(s, fd, timeout_s);
  if (!s->daemon) {
    close(fd);
    return ft_fail(L, "io", "cannot start a server on %s port %d", host, port);
  }
  lua_pushcfunction(L, run_dispatcher);
  lua_pushvalue(L, 3);
  s->dispatcher = ft_task_spawn(L, 1);
  lua_setiuservalue(L, 3, 2);
  s->wait.fd = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
  s->wait.events = CURL_WAIT_POLLIN;
  s->wait.fire = on_ready;
  arm(s);
  return 1;
}

static const luaL_Reg functions[] = {{"listen", server_listen}, {NULL, NULL}};

static const luaL_Reg methods[] = {{"port", server_port}, {"close", server_close}, {NULL, NULL}};

int luaopen_ft_server(lua_State *L) {
  ft_new_type(L, SERVER, methods, server_close);
  ft_request_register(L);
  luaL_newlib(L, functions);
  return 1;
}

/* ft.server: libmicrohttpd inside the event loop. Its epoll descriptor sits in one ft_wait. When
 * all of a request is here, the connection is suspended and the request queued; the dispatcher, a
 * task, starts a task for each; that one runs the handler, leaves the answer in the request and
 * resumes the connection. MHD's callbacks touch requests and never Lua. */
#include <lauxlib.h>
#include <math.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bindings.h"
#include "listen.h"
#include "log.h"
#include "task.h"
#include "native.h"
#include "server_request.h"
#include "silence.h"

enum {
  CONNECTION_MEMORY_BYTES = 64 * 1024,
  BODY_STEP_BYTES = 320 * 1024, /* of a body, or its end, that must come within body_s */
};

static const double SWEEP_INTERVAL_S = 0.25;
static const char SERVER[] = "ft.server.Server";

/* User values: 1 the handler, 2 the dispatcher's Task, which keeps its memory valid as long as
 * ours. */
struct server {
  struct ft_wait wait; /* first: the wait's callback casts */
  struct ft_loop *loop;
  struct MHD_Daemon *daemon; /* NULL when closed */
  struct ft_request *requests;
  struct ft_silence silence;
  double head_s, idle_s;
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

static void arm(struct server *s) {
  MHD_UNSIGNED_LONG_LONG wait_ms;
  double now = ft_now_s();
  s->wait.deadline_s =
      MHD_get_timeout(s->daemon, &wait_ms) == MHD_YES ? now + (double)wait_ms / 1e3 : INFINITY;
  if (s->requests || ft_silence_crowded(&s->silence))
    s->wait.deadline_s = fmin(s->wait.deadline_s, now + SWEEP_INTERVAL_S);
  s->wait.deadline_s = fmin(s->wait.deadline_s, s->silence.first_until_s);
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

static void on_connection(void *user, struct MHD_Connection *c, void **slot,
                          enum MHD_ConnectionNotificationCode what) {
  struct server *s = user;
  if (what == MHD_CONNECTION_NOTIFY_CLOSED)
    ft_silence_remove(&s->silence, slot);
  else
    ft_silence_add(&s->silence, c, slot, s->head_s);
}

static void on_ready(struct ft_wait *w, short revents) {
  struct server *s = (struct server *)w;
  (void)revents;
  bool swept = sweep(s);
  ft_silence_end(&s->silence);
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
    ft_silence_broken(c);
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
  (void)how;
  ft_silence_begins(&s->silence, c, s->idle_s);
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

static struct MHD_Daemon *start_daemon(struct server *s, int fd, unsigned timeout_s) {
  return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL,
                          NULL, on_access, s, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
                          MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL, MHD_OPTION_NOTIFY_COMPLETED,
                          on_completed, s, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
                          MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                          (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_CONNECTION_LIMIT,
                          (unsigned)FT_MAX_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, timeout_s,
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
                       .silence.first_until_s = INFINITY};
  luaL_setmetatable(L, SERVER);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, 3, 1);
  s->spool = spool ? strdup(spool) : NULL;
  s->late_body = late_body ? strdup(late_body) : NULL;
  if ((spool && !s->spool) || (late_body && !s->late_body))
    return luaL_error(L, "not enough memory");
  s->limits = (struct ft_body_limits){s->spool, memory_bytes, upload_bytes};
  int fd = ft_listen_socket(L, host, port, any);
  if (fd < 0) return 3;
  s->port = ft_listen_port(fd);
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

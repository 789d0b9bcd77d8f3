#include "server_request.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "task.h"
#include "native.h"

enum { READ_BLOCK_BYTES = 64 * 1024, MAX_CHUNK_BYTES = 64 << 20 };

static const char BOX[] = "ft.server.request";

/* Stack of the handler's task. */
enum { SLOT_HANDLER = 1, SLOT_BOX, SLOT_REQUEST, SLOT_CHUNKS = SLOT_REQUEST };

/* ---- life ---- */

struct ft_request *ft_request_new(struct MHD_Connection *c, const struct ft_body_limits *limits) {
  struct ft_request *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  r->refs = 1;
  r->connection = c;
  ft_buf_init(&r->out, MAX_CHUNK_BYTES);
  if (ft_body_init(&r->body, c, limits)) {
    ft_request_unref(r);
    return NULL;
  }
  return r;
}

void ft_request_ref(struct ft_request *r) {
  r->refs++;
}

void ft_request_unref(struct ft_request *r) {
  if (--r->refs) return;
  if (r->response) MHD_destroy_response(r->response);
  ft_body_free(&r->body);
  ft_buf_free(&r->out);
  free(r);
}

static const char *header(struct ft_request *r, const char *name) {
  return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

bool ft_request_hopeless(struct ft_request *r) {
  const char *expect = header(r, MHD_HTTP_HEADER_EXPECT);
  return r->body.too_large && expect && strcasecmp(expect, "100-continue") == 0;
}

void ft_request_suspend(struct ft_request *r) {
  MHD_suspend_connection(r->connection);
  r->suspended = true;
}

static void resume(struct ft_request *r) {
  if (!r->suspended || !r->connection) return;
  r->suspended = false;
  MHD_resume_connection(r->connection);
  r->on_resume(r->server);
}

void ft_request_cut(struct ft_request *r) {
  r->cut = r->out_broken = true;
  resume(r);
}

static void set_response(struct ft_request *r, unsigned status, struct MHD_Response *response) {
  if (r->response) MHD_destroy_response(r->response);
  r->response = response;
  r->status = status;
}

void ft_request_fail(struct ft_request *r) {
  static char text[] = "internal server error\n";
  r->streaming = false;
  struct MHD_Response *response =
      MHD_create_response_from_buffer(sizeof text - 1, text, MHD_RESPMEM_PERSISTENT);
  if (response) MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain");
  set_response(r, MHD_HTTP_INTERNAL_SERVER_ERROR, response);
  if (response)
    resume(r);
  else
    ft_request_cut(r);
}

struct box {
  struct ft_request *r;
};

static int box_close(lua_State *L) {
  struct box *box = lua_touserdata(L, 1);
  struct ft_request *r = box->r;
  if (!r) return 0;
  box->r = NULL;
  r->task = NULL;
  ft_body_free(&r->body);
  if (!r->response || (r->streaming && !r->out_end)) ft_request_cut(r);
  ft_request_unref(r);
  return 0;
}

void ft_request_box(lua_State *L, struct ft_request *r) {
  struct box *box = lua_newuserdatauv(L, sizeof *box, 1);
  box->r = NULL;
  luaL_setmetatable(L, BOX);
  ft_request_ref(r);
  box->r = r;
}

/* ---- what the handler gets ---- */

/* An error must not jump over MHD, so that its callback only collects. */
struct pair {
  const char *name, *value;
  size_t name_len, value_len;
};

struct pair_list {
  struct pair *pairs;
  int count, capacity;
};

static enum MHD_Result on_pair(void *user, enum MHD_ValueKind kind, const char *name,
                               size_t name_len, const char *value, size_t value_len) {
  struct pair_list *list = user;
  (void)kind;
  if (list->count < list->capacity)
    list->pairs[list->count++] = (struct pair){name, value, name_len, value ? value_len : 0};
  return MHD_YES;
}

static void push_lower(lua_State *L, const char *s, size_t len) {
  luaL_Buffer b;
  char *to = luaL_buffinitsize(L, &b, len);
  for (size_t i = 0; i < len; i++) to[i] = (char)tolower((unsigned char)s[i]);
  luaL_pushresultsize(&b, len);
}

static void push_pairs(lua_State *L, struct ft_request *r, enum MHD_ValueKind kind) {
  int n = MHD_get_connection_values(r->connection, kind, NULL, NULL);
  struct pair_list list = {.capacity = n};
  list.pairs =
      lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *list.pairs, 0); /* freed by the collector */
  MHD_get_connection_values_n(r->connection, kind, on_pair, &list);
  lua_createtable(L, 0, list.count);
  for (const struct pair *p = list.pairs; p < list.pairs + list.count; p++) {
    if (kind != MHD_HEADER_KIND) {
      lua_pushlstring(L, p->name, p->name_len);
      lua_pushlstring(L, p->value ? p->value : "", p->value_len);
    } else {
      push_lower(L, p->name, p->name_len);
      lua_pushvalue(L, -1);
      if (lua_rawget(L, -3) == LUA_TSTRING)
        lua_pushfstring(L, "%s, ", lua_tostring(L, -1));
      else
        lua_pushliteral(L, "");
      lua_remove(L, -2);
      lua_pushlstring(L, p->value ? p->value : "", p->value_len);
      lua_concat(L, 2);
    }
    lua_rawset(L, -3);
  }
  lua_remove(L, -2);
}

static void push_remote(lua_State *L, struct ft_request *r) {
  char text[INET6_ADDRSTRLEN] = "";
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  const struct sockaddr *a = info ? info->client_addr : NULL;
  if (a && a->sa_family == AF_INET)
    inet_ntop(AF_INET, &((const struct sockaddr_in *)a)->sin_addr, text, sizeof text);
  else if (a && a->sa_family == AF_INET6)
    inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)a)->sin6_addr, text, sizeof text);
  lua_pushstring(L, text);
}

void ft_request_push(lua_State *L, struct ft_request *r) {
  luaL_checkstack(L, 12, "request");
  lua_createtable(L, 0, 6);
  lua_pushstring(L, r->method);
  lua_setfield(L, -2, "method");
  lua_pushstring(L, r->path);
  lua_setfield(L, -2, "path");
  push_pairs(L, r, MHD_GET_ARGUMENT_KIND);
  lua_setfield(L, -2, "query");
  push_pairs(L, r, MHD_HEADER_KIND);
  lua_setfield(L, -2, "headers");
  push_remote(L, r);
  lua_setfield(L, -2, "remote");
  ft_body_push(L, &r->body);
}

/* ---- what the handler answers ---- */

/* Gives MHD what the task has left in out; without any, the connection sleeps until there is more.
 */
static ssize_t on_read(void *user, uint64_t offset, char *to, size_t max) {
  struct ft_request *r = user;
  (void)offset;
  if (r->out.len) {
    size_t n = r->out.len < max ? r->out.len : max;
    memcpy(to, r->out.data, n);
    ft_buf_drop(&r->out, n);
    if (!r->out.len && r->draining) {
      r->draining = false;
      if (r->task) ft_task_wake(r->task);
    }
    return (ssize_t)n;
  }
  if (r->out_broken) return MHD_CONTENT_READER_END_WITH_ERROR;
  if (r->out_end) return MHD_CONTENT_READER_END_OF_STREAM;
  ft_request_suspend(r);
  return 0;
}

static struct MHD_Response *file_response(lua_State *L, const char *path) {
  struct stat st;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode)) {
    int error = fd < 0 ? errno : EISDIR;
    if (fd >= 0) close(fd);
    luaL_error(L, "%s: %s", path, strerror(error));
  }
  struct MHD_Response *response = MHD_create_response_from_fd64((uint64_t)st.st_size, fd);
  if (!response) close(fd);
  return response;
}

/* Runs in a protected call: (request, answer). */
static int convert_answer(lua_State *L) {
  static const char *const keys[] = {"status", "headers", "body", "path", "chunks", "abort", NULL};
  struct ft_request *r = lua_touserdata(L, 1);
  if (!lua_istable(L, 2))
    return luaL_error(L, "the handler answered with a %s", luaL_typename(L, 2));
  ft_check_keys(L, 2, keys);
  if (ft_opt_boolean(L, 2, "abort", false)) {
    r->cut = true;
    return 0;
  }
  double status = ft_opt_number(L, 2, "status", 0);
  if (!(status >= 200 && status <= 599))
    return luaL_error(L, "the answer's status is not 200 to 599");
  size_t len = 0;
  const char *body = ft_opt_string(L, 2, "body", "", &len);
  const char *path = ft_opt_string(L, 2, "path", NULL, NULL);
  struct MHD_Response *response;
  if (lua_getfield(L, 2, "chunks") == LUA_TFUNCTION) {
    response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, READ_BLOCK_BYTES, on_read, r, NULL);
    r->streaming = true;
  } else if (path) {
    response = file_response(L, path);
  } else {
    response = MHD_create_response_from_buffer(len, (void *)body, MHD_RESPMEM_MUST_COPY);
  }
  if (!response) return luaL_error(L, "not enough memory");
  set_response(r, (unsigned)status, response);
  if (r->body.too_large) MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
  if (lua_getfield(L, 2, "headers") == LUA_TTABLE) {
    lua_pushnil(L);
    while (lua_next(L, -2)) {
      if (lua_type(L, -2) != LUA_TSTRING || !lua_isstring(L, -1) ||
          MHD_add_response_header(response, lua_tostring(L, -2), lua_tostring(L, -1)) != MHD_YES)
        return luaL_error(L, "the answer has a header that HTTP does not allow");
      lua_pop(L, 1);
    }
  }
  return 0;
}

/* Runs in a protected call: (error value). */
static int error_text(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

/* Pops an error value and logs it. */
static void report(lua_State *L, const struct ft_request *r, const char *what) {
  lua_pushcfunction(L, error_text);
  lua_insert(L, -2);
  const char *text = lua_pcall(L, 1, 1, 0) == LUA_OK ? lua_tostring(L, -1) : NULL;
  ft_log(FT_LOG_ERROR, "http server: %s %s: %s: %s", r->connection ? r->method : "",
         r->connection ? r->path : "", what, text ? text : "(error object)");
  lua_pop(L, 1);
}

enum { STEP_CALL, STEP_CALLED, STEP_DRAINED };

/* Sends what SLOT_CHUNKS returns, piece by piece, until nil; the next is asked for when MHD has
 * taken the last. */
static int stream(lua_State *L, int status, lua_KContext step) {
  struct ft_request *r = ((struct box *)lua_touserdata(L, SLOT_BOX))->r;
  for (;;) {
    if (step == STEP_CALLED) {
      size_t len = 0;
      if (status != LUA_OK && status != LUA_YIELD) {
        report(L, r, "chunks failed");
        r->out_broken = true;
        break;
      }
      if (lua_type(L, -1) != LUA_TSTRING) {
        r->out_end = true;
        break;
      }
      const char *chunk = lua_tolstring(L, -1, &len);
      if (ft_buf_add(&r->out, chunk, len)) {
        r->out_broken = true;
        break;
      }
      lua_settop(L, SLOT_CHUNKS);
      if (len) {
        r->draining = true;
        resume(r);
        return ft_task_suspend(L, STEP_DRAINED, stream);
      }
    }
    if (!r->connection) return 0;
    lua_pushvalue(L, SLOT_CHUNKS);
    status = lua_pcallk(L, 0, 1, 0, STEP_CALLED, stream);
    step = STEP_CALLED;
  }
  resume(r);
  return 0;
}

static int handled(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  struct ft_request *r = ((struct box *)lua_touserdata(L, SLOT_BOX))->r;
  if (status == LUA_OK || status == LUA_YIELD) {
    lua_pushcfunction(L, convert_answer);
    lua_pushlightuserdata(L, r);
    lua_pushvalue(L, SLOT_REQUEST + 1);
    status = lua_pcall(L, 2, 0, 0);
  }
  if (status != LUA_OK) {
    report(L, r, "the handler failed");
    ft_request_fail(r);
    return 0;
  }
  ft_body_free(&r->body);
  resume(r);
  if (r->cut || lua_getfield(L, SLOT_REQUEST + 1, "chunks") != LUA_TFUNCTION) return 0;
  lua_replace(L, SLOT_CHUNKS);
  lua_settop(L, SLOT_CHUNKS);
  return stream(L, LUA_OK, STEP_CALL);
}

int ft_request_run(lua_State *L) {
  lua_toclose(L, SLOT_BOX);
  lua_pushvalue(L, SLOT_HANDLER);
  lua_pushvalue(L, SLOT_REQUEST);
  return handled(L, lua_pcallk(L, 1, 1, 0, 0, handled), 0);
}

void ft_request_register(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  ft_new_type(L, BOX, none, box_close);
}

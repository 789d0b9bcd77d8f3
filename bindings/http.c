/* ft.http: one HTTP request by libcurl. Every resource of a request lives in its op, a userdata on
 * the waiting coroutine's stack; curl's callbacks touch the op and nothing else. */
#include <ctype.h>
#include <errno.h>
#include <lauxlib.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bindings.h"
#include "http_op.h"
#include "native.h"

enum { MAX_HEAD_BYTES = 256 * 1024 };

static const double PROGRESS_INTERVAL_S = 0.1;
static const char OP[] = "ft.http.request";

/* ---- life ---- */

static void wipe(char *s) {
  if (s) explicit_bzero(s, strlen(s));
}

static void drop_file(struct ft_http_op *op) {
  if (op->fd >= 0) close(op->fd);
  op->fd = -1;
  if (op->temporary) unlink(op->temporary);
  free(op->temporary);
  op->temporary = NULL;
}

static int op_close(lua_State *L) {
  struct ft_http_op *op = lua_touserdata(L, 1);
  ft_transfer_stop(&op->transfer);
  ft_wait_stop(&op->stall);
  if (op->transfer.easy) curl_easy_cleanup(op->transfer.easy);
  op->transfer.easy = NULL;
  curl_mime_free(op->mime);
  op->mime = NULL;
  ft_http_slice_free(op->file);
  op->file = NULL;
  for (struct curl_slist *h = op->headers; h; h = h->next)
    wipe(h->data); /* one may hold a secret */
  curl_slist_free_all(op->headers);
  op->headers = NULL;
  drop_file(op);
  free(op->output);
  op->output = NULL;
  ft_buf_free(&op->head);
  ft_buf_free(&op->body);
  return 0;
}

static struct ft_http_op *new_op(lua_State *L) {
  struct ft_http_op *op = lua_newuserdatauv(L, sizeof *op, 0);
  *op = (struct ft_http_op){.fd = -1, .stall.fd = -1};
  ft_buf_init(&op->head, MAX_HEAD_BYTES);
  luaL_setmetatable(L, OP);
  return op;
}

/* ---- curl's callbacks ---- */

static void wake(struct ft_http_op *op) {
  if (!op->waiting) return;
  op->waiting = false;
  ft_task_wake(op->task);
}

static void on_done(struct ft_transfer *t, CURLcode code) {
  struct ft_http_op *op = (struct ft_http_op *)t;
  ft_wait_stop(&op->stall);
  op->done = true;
  op->code = code;
  op->news = op->wants_progress;
  wake(op);
}

/* curl's own check of speed works with averages, and takes a few slow bytes for none. */
static void on_stall(struct ft_wait *w, short revents) {
  struct ft_http_op *op = (struct ft_http_op *)((char *)w - offsetof(struct ft_http_op, stall));
  (void)revents;
  w->deadline_s = op->moved_s + op->stall_s;
  if (w->deadline_s > ft_now_s()) {
    ft_wait_start(op->loop, w);
    return;
  }
  op->stalled = true;
  ft_transfer_stop(&op->transfer);
  on_done(&op->transfer, CURLE_OPERATION_TIMEDOUT);
}

size_t ft_http_on_header(char *data, size_t size, size_t n, void *user) {
  struct ft_http_op *op = user;
  (void)size;
  op->moved_s = ft_now_s();
  if (n > 5 && strncmp(data, "HTTP/", 5) == 0)
    ft_buf_reset(&op->head); /* an interim answer came before */
  return ft_buf_add(&op->head, data, n) ? 0 : n;
}

long ft_http_status(const struct ft_http_op *op) {
  long status = 0;
  curl_easy_getinfo(op->transfer.easy, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

bool ft_http_to_file(const struct ft_http_op *op) {
  return op->output && ft_http_status(op) / 100 == 2;
}

bool ft_http_to_function(const struct ft_http_op *op) {
  return op->wants_data && ft_http_status(op) / 100 == 2;
}

size_t ft_http_on_body(char *data, size_t size, size_t n, void *user) {
  struct ft_http_op *op = user;
  (void)size;
  curl_off_t announced = -1;
  curl_easy_getinfo(op->transfer.easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
  if (announced > op->max_bytes || (curl_off_t)n > op->max_bytes - op->received) {
    op->too_large = true;
    return 0;
  }
  op->received += (curl_off_t)n;
  if (!ft_http_to_file(op)) {
    if (ft_buf_add(&op->body, data, n)) return 0;
    if (ft_http_to_function(op)) wake(op);
    return n;
  }
  for (size_t done = 0; done < n;) {
    ssize_t written = write(op->fd, data + done, n - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      op->file_errno = errno;
      return 0;
    }
    done += (size_t)written;
  }
  return n;
}

int ft_http_on_progress(void *user, curl_off_t total_down, curl_off_t down, curl_off_t total_up,
                        curl_off_t up) {
  struct ft_http_op *op = user;
  (void)total_down;
  if (up == op->sent_now && down == op->received_now && total_up == op->sent_total) return 0;
  op->sent_now = up;
  op->sent_total = total_up;
  op->received_now = down;
  op->moved_s = ft_now_s();
  if (!op->wants_progress || op->moved_s < op->next_progress_s) return 0;
  op->next_progress_s = op->moved_s + PROGRESS_INTERVAL_S;
  op->news = true;
  wake(op);
  return 0;
}

/* curl repeats a request by itself when a reused connection dies before the first byte of an
 * answer. A server may have acted on it, so that only what is safe to repeat may go out twice. */
int ft_http_on_request(void *user, char *ip, char *local_ip, int port, int local_port) {
  struct ft_http_op *op = user;
  (void)ip, (void)local_ip, (void)port, (void)local_port;
  if (op->tries++ && !op->retries_safe) return CURL_PREREQFUNC_ABORT;
  op->moved_s = ft_now_s();
  op->stall.deadline_s = op->moved_s + op->stall_s;
  ft_wait_start(op->loop, &op->stall);
  return CURL_PREREQFUNC_OK;
}

/* Runs whenever the task goes on: the transfer is over, there is something to tell, or a callback
 * has returned after waiting for something of its own. */
static int go_on(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  struct ft_http_op *op = lua_touserdata(L, FT_HTTP_OP);
  while (op->news) {
    op->news = false;
    lua_settop(L, FT_HTTP_DATA);
    lua_pushvalue(L, FT_HTTP_PROGRESS);
    lua_pushinteger(L, op->sent_now);
    lua_pushinteger(L, op->sent_total);
    lua_pushinteger(L, op->received_now);
    lua_callk(L, 3, 0, 0, go_on);
  }
  while (op->body.len && ft_http_to_function(op)) {
    lua_settop(L, FT_HTTP_DATA);
    lua_pushvalue(L, FT_HTTP_DATA);
    lua_pushlstring(L, op->body.data, op->body.len);
    ft_buf_reset(&op->body);
    lua_callk(L, 1, 0, 0, go_on);
  }
  if (op->done) return ft_http_push_result(L, op);
  op->waiting = true;
  return ft_task_suspend(L, 0, go_on);
}

static int http_request(lua_State *L) {
  struct ft_task *task = ft_task_self(L);
  ft_http_check(L);
  struct ft_http_op *op = new_op(L); /* FT_HTTP_OP */
  lua_pushnil(L);                    /* FT_HTTP_BODY */
  lua_getfield(L, FT_HTTP_OPTIONS, "on_progress");
  lua_getfield(L, FT_HTTP_OPTIONS, "on_data");
  lua_toclose(L, FT_HTTP_OP);
  op->task = task;
  op->loop = ft_loop_of(L);
  op->wants_progress = lua_isfunction(L, FT_HTTP_PROGRESS);
  op->wants_data = lua_isfunction(L, FT_HTTP_DATA);
  op->transfer.done = on_done;
  op->stall.fire = on_stall;
  op->started_s = ft_now_s();
  int failed = ft_http_set_up(L, op);
  if (failed) return failed;
  if (ft_transfer_start(op->loop, &op->transfer)) return luaL_error(L, "not enough memory");
  return go_on(L, LUA_OK, 0);
}

static int http_escape(lua_State *L) {
  static const char hex[] = "0123456789ABCDEF";
  size_t len;
  const unsigned char *s = (const unsigned char *)luaL_checklstring(L, 1, &len);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (size_t i = 0; i < len; i++) {
    if (isalnum(s[i]) || (s[i] && strchr("-._~", s[i]))) {
      luaL_addchar(&b, (char)s[i]);
    } else {
      luaL_addchar(&b, '%');
      luaL_addchar(&b, hex[s[i] >> 4]);
      luaL_addchar(&b, hex[s[i] & 15]);
    }
  }
  luaL_pushresult(&b);
  return 1;
}

static const luaL_Reg functions[] = {
    {"request", http_request}, {"escape", http_escape}, {NULL, NULL}};

int luaopen_ft_http(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  ft_new_type(L, OP, none, op_close);
  luaL_newlib(L, functions);
  return 1;
}

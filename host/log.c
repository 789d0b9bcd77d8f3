#include "log.h"

#include <errno.h>
#include <lauxlib.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "buf.h"
#include "native.h"
#include "secrets.h"
#include "text.h"

enum { SHOWN_BYTES = 256 * 1024, MESSAGE_BYTES = 64 * 1024 * 1024, DEFAULT_COLUMNS = 80 };

static const char *const level_names[] = {"error", "warn", "info", "debug", NULL};

static struct {
  int level; /* -1 until FTRUN_LOG was looked at */
  void (*before)(void), (*after)(void);
  int out_failed; /* errno of the first write to standard output that failed */
} sink = {.level = -1};

static enum ft_log_level level_now(void) {
  if (sink.level < 0) {
    const char *wanted = getenv("FTRUN_LOG");
    sink.level = FT_LOG_INFO;
    for (int i = 0; wanted && level_names[i]; i++)
      if (strcmp(level_names[i], wanted) == 0) sink.level = i;
  }
  return (enum ft_log_level)sink.level;
}

void ft_log_set_level(enum ft_log_level level) {
  sink.level = (int)level;
}

void ft_log_set_hooks(void (*before)(void), void (*after)(void)) {
  sink.before = before;
  sink.after = after;
}

/* Writes all bytes, also where the other side made the descriptor non-blocking. 0, or an errno. */
static int write_all(int fd, const char *bytes, size_t len) {
  while (len > 0) {
    ssize_t n = write(fd, bytes, len);
    if (n >= 0) {
      bytes += n;
      len -= (size_t)n;
    } else if (errno == EAGAIN) {
      poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

void ft_log_write(const char *bytes, size_t len) {
  write_all(STDERR_FILENO, bytes, len);
}

size_t ft_log_clean(char *text, size_t len) {
  /* Twice: cleaning may take away what a secret holds, and may join what a control byte had split.
   */
  len = ft_secrets_mask(text, len);
  len = ft_text_clean(text, len);
  return ft_secrets_mask(text, len);
}

/* Consumes the message: masks, cleans and writes it in one piece. */
static void emit(enum ft_log_level level, struct ft_buf *message) {
  struct ft_buf out;
  ft_buf_init(&out, (size_t)SHOWN_BYTES + 256);
  size_t len = message->data ? ft_log_clean(message->data, message->len) : 0;
  while (len > 0 && message->data[len - 1] == '\n') len--;
  size_t shown = len;
  if (shown > SHOWN_BYTES)
    for (shown = SHOWN_BYTES; (message->data[shown] & 0xc0) == 0x80;) shown--;
  if (level <= FT_LOG_WARN) ft_buf_adds(&out, "ftrun: ");
  if (message->failed) ft_buf_adds(&out, "(a message too large to show)");
  if (shown) ft_buf_add(&out, message->data, shown);
  if (shown < len) ft_buf_addf(&out, "… (%zu bytes more)", len - shown);
  ft_buf_addc(&out, '\n');
  if (sink.before) sink.before();
  if (!out.failed) ft_log_write(out.data, out.len);
  if (sink.after) sink.after();
  ft_buf_free(&out);
  ft_buf_free(message);
}

void ft_log(enum ft_log_level level, const char *fmt, ...) {
  if (level > level_now()) return;
  struct ft_buf message;
  ft_buf_init(&message, MESSAGE_BYTES);
  va_list args, again;
  va_start(args, fmt);
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, fmt, args);
  if (n >= 0 && ft_buf_reserve(&message, (size_t)n) == 0) {
    vsnprintf(message.data, (size_t)n + 1, fmt, again);
    message.len = (size_t)n;
  }
  va_end(again);
  va_end(args);
  emit(level, &message);
}

bool ft_log_is_terminal(void) {
  const char *term = getenv("TERM");
  return isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0);
}

size_t ft_log_columns(void) {
  struct winsize size;
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return DEFAULT_COLUMNS;
}

/* ---- Lua ---- */

static int log_at(lua_State *L, enum ft_log_level level) {
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  if (level > level_now()) return 0;
  struct ft_buf message;
  ft_buf_init(&message, MESSAGE_BYTES);
  ft_buf_add(&message, text, len);
  emit(level, &message);
  return 0;
}

static int log_error(lua_State *L) {
  return log_at(L, FT_LOG_ERROR);
}
static int log_warn(lua_State *L) {
  return log_at(L, FT_LOG_WARN);
}
static int log_info(lua_State *L) {
  return log_at(L, FT_LOG_INFO);
}
static int log_debug(lua_State *L) {
  return log_at(L, FT_LOG_DEBUG);
}

static int log_level(lua_State *L) {
  ft_log_set_level((enum ft_log_level)luaL_checkoption(L, 1, NULL, level_names));
  return 0;
}

/* A copy of the text at arg that Lua owns, so that it may be changed. [-0, +1, m] */
static char *scratch(lua_State *L, int arg, size_t *len) {
  const char *text = luaL_checklstring(L, arg, len);
  char *copy = lua_newuserdatauv(L, *len + 1, 0);
  memcpy(copy, text, *len + 1);
  return copy;
}

static bool has_colours(void) {
  const char *term = getenv("TERM"), *no = getenv("NO_COLOR");
  return !(term && strcmp(term, "dumb") == 0) && !(no && *no);
}

static int log_out(lua_State *L) {
  static const char *const names[] = {"red", "green", "cyan", "bold", NULL};
  static const char *const codes[] = {"\033[31m", "\033[32m", "\033[36m", "\033[1m"};
  size_t len;
  bool terminal = isatty(STDOUT_FILENO);
  const char *code = lua_isnoneornil(L, 2) ? NULL : codes[luaL_checkoption(L, 2, NULL, names)];
  char *text = scratch(L, 1, &len);
  if (!terminal || !has_colours()) code = NULL;
  len = terminal ? ft_log_clean(text, len) : ft_secrets_mask(text, len);
  if (terminal && sink.before) sink.before();
  if (code && !sink.out_failed) sink.out_failed = write_all(STDOUT_FILENO, code, strlen(code));
  if (!sink.out_failed) sink.out_failed = write_all(STDOUT_FILENO, text, len);
  if (code && !sink.out_failed) sink.out_failed = write_all(STDOUT_FILENO, "\033[0m", 4);
  if (terminal && sink.after) sink.after();
  int failed = sink.out_failed;
  if (failed)
    return ft_fail(L, failed == EPIPE ? "closed" : "io", "standard output: %s", strerror(failed));
  lua_pushboolean(L, 1);
  return 1;
}

static int log_mask(lua_State *L) {
  size_t len;
  char *text = scratch(L, 1, &len);
  lua_pushlstring(L, text, ft_secrets_mask(text, len));
  return 1;
}

static int log_is_terminal(lua_State *L) {
  static const char *const streams[] = {"stdin", "stdout", "stderr", NULL};
  static const int descriptors[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
  lua_pushboolean(L, isatty(descriptors[luaL_checkoption(L, 1, NULL, streams)]));
  return 1;
}

static int log_columns(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)ft_log_columns());
  return 1;
}

static const luaL_Reg functions[] = {
    {"error", log_error},     {"warn", log_warn},
    {"info", log_info},       {"debug", log_debug},
    {"level", log_level},     {"out", log_out},
    {"mask", log_mask},       {"is_terminal", log_is_terminal},
    {"columns", log_columns}, {NULL, NULL},
};

int luaopen_ft_log(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}

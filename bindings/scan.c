/* Searches texts for patterns by PCRE2's JIT, each only where a run of certain bytes makes a match
 * possible: most texts hold no such run. What the patterns mean, Lua knows. */
#include <lauxlib.h>
#include <stdint.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "../host/native.h"
#include "bindings.h"
#include "byteruns.h"

static const char SCANNER[] = "ft.scan.Scanner";

enum {
  PATTERNS_MAX = 64,
  MARGIN_MAX = 4096,
  MATCH_LIMIT = 1000000, /* steps of one search: patterns are ours, but texts are not */
};

struct pattern {
  pcre2_code *code;
  struct ft_byteruns runs;
  size_t margin;
};

struct scanner {
  struct pattern *pattern; /* user value 1 */
  int count;
  pcre2_match_data *found; /* NULL: closed */
  pcre2_match_context *context;
};

static int scanner_close(lua_State *L) {
  struct scanner *s = luaL_checkudata(L, 1, SCANNER);
  for (int i = 0; i < s->count; i++) {
    pcre2_code_free(s->pattern[i].code);
    s->pattern[i].code = NULL;
  }
  pcre2_match_data_free(s->found);
  pcre2_match_context_free(s->context);
  s->found = NULL;
  s->context = NULL;
  return 0;
}

static void check_pattern(lua_State *L, int arg, struct pattern *p) {
  static const char *const keys[] = {"pattern", "bytes", "min", "margin", NULL};
  size_t len;
  ft_check_keys(L, arg, keys);
  const char *bytes = ft_opt_string(L, arg, "bytes", NULL, &len);
  double min = ft_opt_number(L, arg, "min", 1), margin = ft_opt_number(L, arg, "margin", 0);
  luaL_argcheck(L, bytes && len > 0, 1, "every pattern has bytes");
  luaL_argcheck(L, min >= 1 && min <= MARGIN_MAX, 1, "min: 1 to 4096 bytes");
  luaL_argcheck(L, margin >= 0 && margin <= MARGIN_MAX, 1, "margin: 0 to 4096 bytes");
  p->margin = (size_t)margin;
  p->runs.min = (size_t)min;
  for (size_t i = 0; i < len; i++) p->runs.in[(unsigned char)bytes[i]] = true;
  ft_byteruns_init(&p->runs);
}

static void compile(lua_State *L, const char *regex, size_t len, struct pattern *p) {
  int error;
  PCRE2_SIZE at;
  char message[256];
  p->code = pcre2_compile((PCRE2_SPTR)regex, len,
                          PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C |
                              PCRE2_USE_OFFSET_LIMIT,
                          &error, &at, NULL);
  if (p->code) {
    pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE); /* where there is no JIT it is only slower */
    return;
  }
  if (error == PCRE2_ERROR_HEAP_FAILED) luaL_error(L, "not enough memory");
  pcre2_get_error_message(error, (PCRE2_UCHAR *)message, sizeof message);
  luaL_error(L, "pattern %s: %s at %d", regex, message, (int)at);
}

static int scan_new(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_Integer n = (lua_Integer)lua_rawlen(L, 1);
  luaL_argcheck(L, n >= 1 && n <= PATTERNS_MAX, 1, "1 to 64 patterns");
  struct scanner *s = lua_newuserdatauv(L, sizeof *s, 1);
  memset(s, 0, sizeof *s);
  luaL_setmetatable(L, SCANNER);
  s->pattern = lua_newuserdatauv(L, (size_t)n * sizeof *s->pattern, 0);
  memset(s->pattern, 0, (size_t)n * sizeof *s->pattern);
  lua_setiuservalue(L, 2, 1);
  for (int i = 0; i < n; i++) {
    size_t len;
    lua_rawgeti(L, 1, i + 1);
    luaL_argcheck(L, lua_istable(L, 3), 1, "a list of tables");
    check_pattern(L, 3, &s->pattern[i]);
    const char *regex = ft_opt_string(L, 3, "pattern", NULL, &len);
    luaL_argcheck(L, regex, 1, "every pattern has a pattern");
    s->count = i + 1;
    compile(L, regex, len, &s->pattern[i]);
    lua_pop(L, 1);
  }
  s->found = pcre2_match_data_create(1, NULL);
  s->context = pcre2_match_context_create(NULL);
  if (!s->found || !s->context) return luaL_error(L, "not enough memory");
  pcre2_set_match_limit(s->context, MATCH_LIMIT);
  return 1;
}

/* Where one search may look: matches begin in [from, until], and nothing behind `end` is seen. */
struct window {
  size_t from, until, end;
};

/* Adds the matches in the window to the list at index 3 (made when needed); moves w->from behind
 * them. The new length of the list. */
static lua_Integer search(lua_State *L, struct scanner *s, int i, const char *text,
                          struct window *w, lua_Integer n, lua_Integer limit) {
  while (w->from <= w->until && n < limit) {
    pcre2_set_offset_limit(s->context, w->until);
    int status =
        pcre2_match(s->pattern[i].code, (PCRE2_SPTR)text, w->end, w->from, 0, s->found, s->context);
    if (status < 0) break; /* none; or too many steps, which no match is worth */
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(s->found);
    if (at[1] <= at[0]) { /* empty */
      w->from = (at[0] > w->from ? at[0] : w->from) + 1;
      continue;
    }
    if (lua_gettop(L) < 3) lua_newtable(L);
    lua_pushinteger(L, i + 1);
    lua_rawseti(L, 3, ++n);
    lua_pushinteger(L, (lua_Integer)at[0] + 1);
    lua_rawseti(L, 3, ++n);
    lua_pushinteger(L, (lua_Integer)at[1]);
    lua_rawseti(L, 3, ++n);
    w->from = at[1];
  }
  return n;
}

static int scanner_find(lua_State *L) {
  struct scanner *s = luaL_checkudata(L, 1, SCANNER);
  size_t len;
  const char *text = luaL_checklstring(L, 2, &len);
  lua_Integer most = luaL_optinteger(L, 3, 1000), n = 0;
  luaL_argcheck(L, s->found, 1, "the scanner is closed");
  luaL_argcheck(L, most >= 1 && most <= 1 << 20, 3, "1 to 1048576 matches");
  lua_settop(L, 2);
  for (int i = 0; i < s->count; i++) {
    const struct pattern *p = &s->pattern[i];
    size_t at = 0, begin, end;
    lua_Integer limit = n + 3 * most;
    struct window w = {0};
    while (n < limit && ft_byteruns_next(&p->runs, text, at, len, &begin, &end)) {
      size_t from = begin > p->margin ? begin - p->margin : 0;
      if (from > w.from) w.from = from;
      w.until = end;
      w.end = len - end > p->margin ? end + p->margin : len;
      n = search(L, s, i, text, &w, n, limit);
      at = end;
    }
  }
  return n > 0 ? 1 : 0;
}

static const luaL_Reg methods[] = {{"find", scanner_find}, {"close", scanner_close}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"new", scan_new}, {NULL, NULL}};

int luaopen_ft_scan(lua_State *L) {
  ft_new_type(L, SCANNER, methods, scanner_close);
  luaL_newlib(L, functions);
  return 1;
}

#include <endian.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "sandbox_box.h"
#include "watchdog.h"

/* ---- pairs in a fixed order ----
 * Lua's order of string keys changes from process to process; a recipe must make the same examples
 * every time. */

struct sort_key {
  int rank; /* numbers, strings, booleans, the rest */
  lua_Integer integer;
  double number;
  const char *string; /* held by the table of keys */
  size_t len;
  int index; /* in the table of keys */
};

static int compare_keys(const void *pa, const void *pb) {
  const struct sort_key *a = pa, *b = pb;
  if (a->rank != b->rank) return a->rank < b->rank ? -1 : 1;
  if (a->rank == 0) {
    if (a->number != b->number) return a->number < b->number ? -1 : 1;
    if (a->integer != b->integer) return a->integer < b->integer ? -1 : 1;
  } else if (a->rank == 1) {
    size_t n = a->len < b->len ? a->len : b->len;
    int order = n ? memcmp(a->string, b->string, n) : 0;
    if (order) return order;
    if (a->len != b->len) return a->len < b->len ? -1 : 1;
  }
  return a->index < b->index ? -1 : a->index > b->index;
}

static struct sort_key key_at(lua_State *B, int stack, int index) {
  struct sort_key key = {.rank = 3, .index = index};
  switch (lua_type(B, stack)) {
  case LUA_TNUMBER:
    key.rank = 0;
    key.number = lua_tonumber(B, stack);
    key.integer = lua_isinteger(B, stack) ? lua_tointeger(B, stack) : 0;
    break;
  case LUA_TSTRING:
    key.rank = 1;
    key.string = lua_tolstring(B, stack, &key.len);
    break;
  case LUA_TBOOLEAN:
    key.rank = 2;
    key.index = lua_toboolean(B, stack) ? index : -index; /* false first */
    break;
  }
  return key;
}

/* Upvalues: the keys in order, the number of those that are done. Skips keys that were removed
 * meanwhile. */
static int next_sorted(lua_State *B) {
  lua_Integer i = lua_tointeger(B, lua_upvalueindex(2));
  for (;;) {
    if (lua_rawgeti(B, lua_upvalueindex(1), ++i) == LUA_TNIL) return 1;
    lua_pushvalue(B, -1);
    if (lua_rawget(B, 1) != LUA_TNIL) break;
    lua_pop(B, 2);
  }
  lua_pushinteger(B, i);
  lua_replace(B, lua_upvalueindex(2));
  return 2;
}

static int sorted_pairs(lua_State *B) {
  luaL_checktype(B, 1, LUA_TTABLE);
  lua_settop(B, 1);
  lua_newtable(B); /* 2: keys as they come */
  int n = 0;
  lua_pushnil(B);
  while (lua_next(B, 1)) {
    lua_pop(B, 1);
    lua_pushvalue(B, -1);
    lua_rawseti(B, 2, ++n);
  }
  struct sort_key *sorted = lua_newuserdatauv(B, ((size_t)n + 1) * sizeof *sorted, 0); /* 3 */
  bool ordered = true;
  for (int i = 0; i < n; i++) {
    lua_rawgeti(B, 2, i + 1);
    sorted[i] = key_at(B, -1, i + 1);
    lua_pop(B, 1);
    ordered = ordered && (i == 0 || compare_keys(&sorted[i - 1], &sorted[i]) < 0);
  }
  if (!ordered) {
    qsort(sorted, (size_t)n, sizeof *sorted, compare_keys);
    lua_createtable(B, n, 0);
    for (int i = 0; i < n; i++) {
      lua_rawgeti(B, 2, abs(sorted[i].index));
      lua_rawseti(B, -2, i + 1);
    }
    lua_replace(B, 2);
  }
  lua_settop(B, 2);
  lua_pushinteger(B, 0);
  lua_pushcclosure(B, next_sorted, 2);
  lua_pushvalue(B, 1);
  lua_pushnil(B);
  return 3;
}

/* ---- texts without addresses ----
 * "table: 0x55..." in an example is a mistake, and another one in each process. */

static int has_text(lua_State *B, int index) {
  int type = lua_type(B, index);
  return type == LUA_TNIL || type == LUA_TBOOLEAN || type == LUA_TNUMBER || type == LUA_TSTRING;
}

static void push_text(lua_State *B, int index) {
  if (has_text(B, index))
    luaL_tolstring(B, index, NULL);
  else
    lua_pushstring(B, luaL_typename(B, index));
}

static int plain_tostring(lua_State *B) {
  luaL_checkany(B, 1);
  push_text(B, 1);
  return 1;
}

/* Upvalue: string.format. A NULL column is nil: as the text "nil" it would go into the training
 * data unseen. */
static int plain_format(lua_State *B) {
  const char *s = luaL_checkstring(B, 1);
  for (int i = 2; i <= lua_gettop(B); i++) {
    if (lua_isnil(B, i)) return luaL_argerror(B, i, "nil is no text; is the column NULL?");
    if (!has_text(B, i))
      return luaL_argerror(B, i, lua_pushfstring(B, "a %s has no text", luaL_typename(B, i)));
  }
  while ((s = strchr(s, '%'))) {
    s += 1 + strspn(s + 1, "-+ #0123456789.");
    luaL_argcheck(B, *s != 'p', 1, "'%p' is another text every time");
    if (*s) s++;
  }
  return lua_tocfunction(B, lua_upvalueindex(1))(B);
}

/* ---- print ---- */

static int print(lua_State *B) {
  struct ft_box *box = ft_box_of(B);
  int n = lua_gettop(B);
  if (box->print_left == 0) return 0;
  luaL_Buffer text;
  luaL_buffinit(B, &text);
  for (int i = 1; i <= n; i++) {
    if (i > 1) luaL_addchar(&text, '\t');
    push_text(B, i);
    luaL_addvalue(&text);
  }
  size_t len = luaL_bufflen(&text);
  char *bytes = luaL_buffaddr(&text);
  for (char *zero = bytes; (zero = memchr(zero, '\0', len - (size_t)(zero - bytes)));) *zero = ' ';
  luaL_pushresult(&text);
  const char *s = lua_tostring(B, -1);
  ft_watchdog_pause(); /* a terminal may stand still */
  if (len < box->print_left) {
    box->print_left -= len + 1; /* the line's end */
    ft_log(FT_LOG_INFO, "%s", s);
  } else {
    ft_log(FT_LOG_INFO, "%.*s", (int)box->print_left, s);
    ft_log(FT_LOG_WARN, "%s prints more than 64 KiB; the rest is not shown", box->chunk);
    box->print_left = 0;
  }
  ft_watchdog_resume();
  return 0;
}

/* ---- environments ---- */

struct allowed {
  const char *name;
  lua_CFunction open;
  const char *const *functions;
};

static const char *const base_functions[] = {"assert", "error",    "ipairs", "next", "pcall",
                                             "select", "tonumber", "type",   NULL};
/* no dump; no pack and unpack, which no recipe needs; rep is bounded by the memory */
static const char *const string_functions[] = {"byte",    "char", "find",  "format", "gmatch",
                                               "gsub",    "len",  "lower", "match",  "rep",
                                               "reverse", "sub",  "upper", NULL};
/* no move: a range of 2^60 is one call */
static const char *const table_functions[] = {"concat", "insert", "pack", "remove",
                                              "sort",   "unpack", NULL};
/* no random: a recipe makes the same data every time */
static const char *const math_functions[] = {
    "abs",  "acos", "asin", "atan", "ceil",       "cos",  "deg",        "exp",  "floor",
    "fmod", "huge", "log",  "max",  "maxinteger", "min",  "mininteger", "modf", "pi",
    "rad",  "sin",  "sqrt", "tan",  "tointeger",  "type", "ult",        NULL};
static const char *const utf8_functions[] = {"char", "charpattern", "codepoint", "codes",
                                             "len",  "offset",      NULL};

/* In place of Lua's. */
static const luaL_Reg own_functions[] = {
    {"pairs", sorted_pairs}, {"print", print}, {"tostring", plain_tostring}, {NULL, NULL}};

static const struct allowed libraries[] = {
    {LUA_GNAME, luaopen_base, base_functions},
    {LUA_STRLIBNAME, luaopen_string, string_functions},
    {LUA_TABLIBNAME, luaopen_table, table_functions},
    {LUA_MATHLIBNAME, luaopen_math, math_functions},
    {LUA_UTF8LIBNAME, luaopen_utf8, utf8_functions},
};

/* Copies the named fields of the library at `from` into the table at `to`. */
static void copy_fields(lua_State *B, int from, int to, const char *const *names) {
  for (; *names; names++) {
    lua_getfield(B, from, *names);
    if (strcmp(*names, "format") == 0) lua_pushcclosure(B, plain_format, 1);
    lua_setfield(B, to, *names);
  }
}

void ft_box_push_env(lua_State *B) {
  lua_newtable(B);
  int env = lua_gettop(B);
  for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
    luaL_requiref(B, libraries[i].name, libraries[i].open, 0);
    if (i == 0) {
      copy_fields(B, env + 1, env, libraries[i].functions);
    } else {
      lua_newtable(B);
      copy_fields(B, env + 1, env + 2, libraries[i].functions);
      lua_setfield(B, env, libraries[i].name);
    }
    lua_settop(B, env);
  }
  luaL_setfuncs(B, own_functions, 0);
}

void ft_box_seal_strings(lua_State *B) {
  lua_pushliteral(B, "");
  lua_getmetatable(B, -1);
  luaL_requiref(B, LUA_STRLIBNAME, luaopen_string, 0);
  lua_newtable(B);
  copy_fields(B, lua_gettop(B) - 1, lua_gettop(B), string_functions);
  lua_setfield(B, -3, "__index");
  lua_pop(B, 1);
  lua_pushboolean(B, 0);
  lua_setfield(B, -2, "__metatable");
  lua_pop(B, 2);
}

const char *ft_box_denied(const char *global) {
  static const char *const names[] = {"_G",           "collectgarbage",
                                      "coroutine",    "debug",
                                      "dofile",       "getmetatable",
                                      "io",           "load",
                                      "loadfile",     "os",
                                      "package",      "rawequal",
                                      "rawget",       "rawlen",
                                      "rawset",       "require",
                                      "setmetatable", "warn",
                                      "xpcall",       NULL};
  for (const char *const *name = names; *name; name++)
    if (strcmp(*name, global) == 0)
      return strcmp(global, "require") == 0 || strcmp(global, "dofile") == 0 ||
                     strcmp(global, "load") == 0
                 ? "recipes read other files by ft.include and ft.text"
                 : "recipes compute; they reach no file, program, clock or network";
  return NULL;
}

/* ---- truncate ---- */

/* Length of the character at s, 1 for a byte that is not UTF-8; its code point, or 0. */
static size_t decode(const unsigned char *s, size_t left, unsigned long *point) {
  static const unsigned long least[] = {0, 0, 0x80, 0x800, 0x10000};
  size_t n = s[0] < 0xC0 ? 1 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : s[0] < 0xF8 ? 4 : 1;
  *point = 0;
  if (n == 1 || n > left) return 1;
  unsigned long c = s[0] & (0x7F >> n);
  for (size_t i = 1; i < n; i++) {
    if ((s[i] & 0xC0) != 0x80) return 1;
    c = c << 6 | (s[i] & 0x3F);
  }
  if (c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) return 1;
  *point = c;
  return n;
}

/* Belongs to the character before it: accents (и + breve is one letter), joiners, variation
 * selectors. */
static bool is_mark(unsigned long c) {
  return (c >= 0x300 && c <= 0x36F) || (c >= 0x483 && c <= 0x489) || (c >= 0x1AB0 && c <= 0x1AFF) ||
         (c >= 0x1DC0 && c <= 0x1DFF) || c == 0x200D || (c >= 0x20D0 && c <= 0x20FF) ||
         (c >= 0xFE00 && c <= 0xFE0F) || (c >= 0xFE20 && c <= 0xFE2F);
}

/* Bytes from s on that are whole characters of one or two bytes, at most eight; their number goes
 * to *characters. 0: something else is there too. */
static size_t short_characters(const unsigned char *s, lua_Integer *characters) {
  const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
  uint64_t w;
  memcpy(&w, s, sizeof w);
  w = le64toh(w);
  uint64_t high = w & tops, tails = high & ~(w << 1), leads = high ^ tails;
  /* as tops: bytes that announce more than one tail, and those that announce none (C0, C1) */
  if ((leads & w << 2) || (leads & ~((w & 0x1E * ones) + 0x7F * ones))) return 0;
  if (tails != leads << 8) return 0;
  size_t n = leads >> 63 ? 7 : 8; /* the last one's tail is in the next eight bytes */
  *characters = (lua_Integer)(n - ((tails >> 7) * ones >> 56));
  return n;
}

/* Where the character number n begins, or the text's end. */
static size_t skip(const unsigned char *s, size_t len, lua_Integer n) {
  unsigned long point;
  size_t at = 0;
  for (lua_Integer i = 0, several; i < n && at < len; i += several) {
    size_t step = n - i >= 8 && len - at >= 8 ? short_characters(s + at, &several) : 0;
    if (!step) {
      step = decode(s + at, len - at, &point);
      several = 1;
    }
    at += step;
  }
  return at;
}

int ft_box_truncate(lua_State *B) {
  size_t len;
  const unsigned char *s = (const unsigned char *)luaL_checklstring(B, 1, &len);
  lua_Integer n = luaL_checkinteger(B, 2);
  if (n < 0) return ft_box_error(B, "truncate: the number of characters cannot be negative");
  lua_settop(B, 1);
  if (len <= (lua_Unsigned)n) return 1;
  unsigned long point;
  /* how far a pile of marks may reach: what stands before needs no closer look */
  lua_Integer near = n > 64 ? n - 64 : 0;
  size_t at = skip(s, len, near), base = at; /* base: where the last that is no mark begins */
  for (lua_Integer i = near; i < n && at < len; i++) {
    size_t step = decode(s + at, len - at, &point);
    if (!is_mark(point)) base = at;
    at += step;
  }
  if (at < len) {
    decode(s + at, len - at, &point);
    if (is_mark(point) && at - base <= 64) at = base; /* a longer pile of marks is no letter */
  }
  if (at < len) lua_pushlstring(B, (const char *)s, at);
  return 1;
}

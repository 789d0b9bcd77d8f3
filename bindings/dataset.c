#include "dataset.h"

#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../host/native.h"
#include "bindings.h"
#include "jsonscan.h"
#include "jsonstring.h"

enum { KEPT_KEYS = 4096 }; /* room for keys that the shared scanner keeps between texts */

static const char SCANNER[] = "ft.dataset.Scanner";

struct kept {
  struct ft_json scanner;
  bool busy;
};

static void *new_scanner(lua_State *L, size_t size) {
  struct ft_json *s = lua_newuserdatauv(L, size, 0);
  memset(s, 0, size);
  ft_json_init(s);
  luaL_setmetatable(L, SCANNER);
  return s;
}

static int scanner_close(lua_State *L) {
  ft_json_free(luaL_checkudata(L, 1, SCANNER));
  return 0;
}

/* nil, message, code, offset. */
int ft_dataset_push_fault(lua_State *L, const struct ft_json *s) {
  if (strcmp(s->code, "memory") == 0) return luaL_error(L, "not enough memory");
  ft_fail(L, s->code, "%s", s->message);
  lua_pushinteger(L, (lua_Integer)s->offset);
  return 4;
}

/* Scans the text at arg to its end with the shared scanner, which nobody else can use meanwhile: no
 * call in here enters Lua. Its deepest level, or -1. */
static int scan_all(lua_State *L, int arg, struct ft_json **scanner) {
  size_t len;
  const char *text = luaL_checklstring(L, arg, &len);
  struct ft_json *s = *scanner = lua_touserdata(L, lua_upvalueindex(1));
  enum ft_json_token token;
  int deepest = 0;
  ft_json_start(s, text, len);
  do {
    token = ft_json_next(s);
    if (s->depth > deepest) deepest = s->depth;
  } while (token > FT_JSON_END);
  if (s->keys.cap > KEPT_KEYS) ft_json_free(s);
  return token == FT_JSON_END ? deepest : -1;
}

static int dataset_check(lua_State *L) {
  struct ft_json *s;
  if (scan_all(L, 1, &s) < 0) return ft_dataset_push_fault(L, s);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- values for encode ---- */

static int dataset_raw(lua_State *L) {
  struct ft_json *s;
  lua_settop(L, 1);
  int depth = scan_all(L, 1, &s);
  if (depth < 0) return ft_dataset_push_fault(L, s);
  struct ft_dataset_raw *raw = lua_newuserdatauv(L, sizeof *raw, 1);
  raw->depth = depth;
  luaL_setmetatable(L, FT_DATASET_RAW);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 2, 1);
  return 1;
}

static int dataset_array(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  luaL_getmetatable(L, FT_DATASET_ARRAY);
  if (lua_getmetatable(L, 1) && !lua_rawequal(L, 2, 3))
    return luaL_argerror(L, 1, "the table has a metatable of its own");
  lua_settop(L, 2);
  lua_setmetatable(L, 1);
  return 1;
}

/* ---- decode_ordered ---- */

static void push_string(lua_State *L, const struct ft_json *s) {
  if (!s->escaped) {
    lua_pushlstring(L, s->start, s->len);
    return;
  }
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, s->len);
  luaL_pushresultsize(&b, ft_json_unescape(out, s->start, s->len));
}

/* Pushes the number of the current token; false when it is beyond a double. The text goes on behind
 * the number, at least with the NUL that ends every Lua string, so strto* stop there. */
static int push_number(lua_State *L, const struct ft_json *s, enum ft_json_token token) {
  if (token == FT_JSON_INTEGER && !(s->len == 2 && memcmp(s->start, "-0", 2) == 0)) {
    errno = 0;
    long long n = strtoll(s->start, NULL, 10);
    if (errno == 0) {
      lua_pushinteger(L, n);
      return 1;
    }
  }
  double d = strtod(s->start, NULL);
  lua_pushnumber(L, d);
  return isfinite(d);
}

/* Lua stack of decode_ordered: 1 text, 2 scanner, then for each open level its table and, in an
 * object, the pair whose value is still to come. The value on top belongs into the innermost of
 * these. */
static void add_value(lua_State *L, const struct ft_json *s, lua_Integer *counts) {
  if (s->depth == 0) return;
  if (s->levels[s->depth - 1].object) lua_rawseti(L, -2, 2);
  lua_rawseti(L, -2, ++counts[s->depth - 1]);
}

static void open_table(lua_State *L, const char *mark) {
  lua_newtable(L);
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, mark);
}

/* Passes over the object or array whose opening is the current token; pushes a table with its text.
 * The token of its end, or a fault. */
static enum ft_json_token push_raw(lua_State *L, struct ft_json *s) {
  const char *start = s->start;
  int depth = s->depth;
  enum ft_json_token token;
  do token = ft_json_next(s);
  while (token > FT_JSON_END && s->depth >= depth);
  if (token == FT_JSON_FAULT) return token;
  lua_createtable(L, 0, 1);
  lua_pushlstring(L, start, (size_t)(s->start + s->len - start));
  lua_setfield(L, -2, "raw");
  return token;
}

static int decode(lua_State *L, struct ft_json *s, const char *text, size_t len,
                  lua_Integer max_depth) {
  lua_Integer counts[FT_JSON_MAX_DEPTH];
  ft_json_start(s, text, len);
  for (;;) {
    enum ft_json_token token = ft_json_next(s);
    switch (token) {
    case FT_JSON_FAULT:
      return ft_dataset_push_fault(L, s);
    case FT_JSON_END:
      return 1;
    case FT_JSON_OBJECT:
    case FT_JSON_ARRAY:
      if (s->depth > max_depth) {
        if (push_raw(L, s) == FT_JSON_FAULT) return ft_dataset_push_fault(L, s);
        break;
      }
      open_table(L, token == FT_JSON_OBJECT ? "object" : "array");
      counts[s->depth - 1] = 0;
      continue;
    case FT_JSON_KEY:
      lua_createtable(L, 2, 0);
      push_string(L, s);
      lua_rawseti(L, -2, 1);
      continue;
    case FT_JSON_STRING:
      push_string(L, s);
      break;
    case FT_JSON_INTEGER:
    case FT_JSON_NUMBER:
      if (push_number(L, s, token)) break;
      ft_fail(L, "number", "a number too large for a double");
      lua_pushinteger(L, s->start - text);
      return 4;
    case FT_JSON_TRUE:
      lua_pushboolean(L, 1);
      break;
    case FT_JSON_FALSE:
      lua_pushboolean(L, 0);
      break;
    case FT_JSON_NULL:
      lua_pushlightuserdata(L, NULL);
      break;
    case FT_JSON_OBJECT_END:
    case FT_JSON_ARRAY_END:
      break; /* the table itself is on top */
    }
    add_value(L, s, counts);
  }
}

/* Most calls are on short texts, for which a scanner of their own costs more than the decoding. One
 * is kept for them; finalizers may run while it is in use, so it is marked. An error leaves the
 * mark, and later calls take a scanner of their own. */
static int dataset_decode_ordered(lua_State *L) {
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  lua_Integer max_depth = luaL_optinteger(L, 2, FT_JSON_MAX_DEPTH);
  luaL_argcheck(L, max_depth >= 0 && max_depth <= FT_JSON_MAX_DEPTH, 2, "0 to 512 levels");
  struct kept *kept = lua_touserdata(L, lua_upvalueindex(3));
  lua_settop(L, 1);
  luaL_checkstack(L, 2 * (int)max_depth + 8, "nested JSON");
  if (kept->busy) {
    struct ft_json *s = new_scanner(L, sizeof *s);
    lua_toclose(L, 2);
    return decode(L, s, text, len, max_depth);
  }
  kept->busy = true;
  lua_pushvalue(L, lua_upvalueindex(3));
  int n = decode(L, &kept->scanner, text, len, max_depth);
  if (kept->scanner.keys.cap > KEPT_KEYS) ft_json_free(&kept->scanner);
  kept->busy = false;
  return n;
}

static const luaL_Reg functions[] = {
    {"encode", ft_dataset_encode},
    {"encoder", ft_dataset_encoder},
    {"array", dataset_array},
    {"raw", dataset_raw},
    {"check", dataset_check},
    {"decode_ordered", dataset_decode_ordered},
    {"pick", ft_dataset_pick},
    {"writer", ft_dataset_writer},
    {"reader", ft_dataset_reader},
    {"seen", ft_dataset_seen},
    {"shape", ft_dataset_shape},
    {"scan", ft_dataset_scan},
    {NULL, NULL},
};

int luaopen_ft_dataset(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  ft_new_type(L, SCANNER, none, scanner_close);
  ft_dataset_encode_types(L);
  ft_dataset_writer_types(L);
  ft_dataset_reader_types(L);
  ft_dataset_seen_types(L);
  ft_dataset_scan_types(L);
  luaL_newlibtable(L, functions);
  new_scanner(L, sizeof(struct ft_json));
  ft_dataset_push_encoder(L);
  new_scanner(L, sizeof(struct kept));
  luaL_setfuncs(L, functions, 3);
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
  return 1;
}

#include <lauxlib.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../host/buf.h"
#include "../host/encoder.h"
#include "../host/native.h"
#include "dataset.h"
#include "decimal.h"
#include "jsonscan.h"
#include "jsonstring.h"
#include "names.h"

enum { MAX_JSON_BYTES = 1 << 30, KEPT_BYTES = 1 << 20, SHOWN_KEY = 60, ESCAPE_MAX = 6 };

/* A key of an object that is being written. The bytes belong to the table. */
struct entry {
  const char *key;
  size_t len;
  int rank; /* place in the order, or INT_MAX */
};

/* Where a value stands in the one around it. */
struct step {
  const char *key; /* NULL: index */
  size_t len;
  lua_Integer index;
};

struct encoder {
  struct ft_encoder face;
  struct ft_buf out;
  struct entry *entries; /* of all open objects, the innermost last */
  size_t nentries, cap;
  struct step path[FT_JSON_MAX_DEPTH];
  int depth;
  const char *code; /* of the fault, once there is one */
  char message[160];

  int array_mark; /* where the state's mark of arrays stands on its stack; 0: it has none */
  bool ordered;   /* keys come in the order below */
  char refused;   /* no key may begin with it; 0: any may */

  struct ft_names order; /* user value 1 is the list that it was made from */
};

static int encoder_close(lua_State *L) {
  struct encoder *e = luaL_checkudata(L, 1, FT_ENCODER);
  ft_buf_free(&e->out);
  ft_names_free(&e->order);
  free(e->entries);
  e->entries = NULL;
  return 0;
}

static bool fault(struct encoder *e, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static bool fault(struct encoder *e, const char *code, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  vsnprintf(e->message, sizeof e->message, fmt, args);
  va_end(args);
  e->code = code;
  return false;
}

static bool put(struct encoder *e, const char *bytes, size_t len) {
  if (len < e->out.cap - e->out.len) { /* the usual case, without a call; the end is set at last */
    memcpy(e->out.data + e->out.len, bytes, len);
    e->out.len += len;
    return true;
  }
  return ft_buf_add(&e->out, bytes, len) == 0 || fault(e, "memory", "not enough memory");
}

/* Writes the escape of c, which takes at most ESCAPE_MAX bytes; returns how many. */
static size_t escape(char *out, unsigned char c) {
  static const char digits[] = "0123456789abcdef";
  static const char letters[128] = {['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
                                    ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't'};
  out[0] = '\\';
  out[1] = letters[c];
  if (letters[c]) return 2;
  out[1] = 'u';
  out[2] = out[3] = '0';
  out[4] = digits[c >> 4];
  out[5] = digits[c & 15];
  return ESCAPE_MAX;
}

static bool put_string(struct encoder *e, const char *s, size_t len, const char *what) {
  size_t done = 0;
  if (!put(e, "\"", 1)) return false;
  while (done < len) {
    if (ft_buf_reserve(&e->out, len - done + ESCAPE_MAX))
      return fault(e, "memory", "not enough memory");
    size_t n = ft_json_copy(e->out.data + e->out.len, s + done, len - done);
    e->out.len += n;
    done += n;
    if (done == len) break;
    if ((unsigned char)s[done] >= 0x80)
      return fault(e, "utf8", "%sinvalid UTF-8 at byte %zu", what, done);
    e->out.len += escape(e->out.data + e->out.len, (unsigned char)s[done++]);
  }
  return put(e, "\"", 1);
}

static bool put_number(lua_State *L, struct encoder *e, int idx) {
  char text[FT_DECIMAL_MAX];
  int n = 0;
  if (lua_isinteger(L, idx)) {
    n = snprintf(text, sizeof text, LUA_INTEGER_FMT, (LUAI_UACINT)lua_tointeger(L, idx));
    return put(e, text, (size_t)n);
  }
  double d = lua_tonumber(L, idx);
  if (!isfinite(d))
    return fault(e, "number", "%s is no JSON number", isnan(d) ? "NaN" : "Infinity");
  return put(e, text, ft_decimal(text, d));
}

/* A raw text was one valid JSON text; its line breaks can only be white space, and JSONL wants
 * none. */
static bool put_raw(lua_State *L, struct encoder *e, int idx, const struct ft_dataset_raw *raw) {
  if (e->depth + raw->depth > FT_JSON_MAX_DEPTH)
    return fault(e, "depth", "nested more than 512 levels deep");
  size_t len;
  lua_getiuservalue(L, idx, 1);
  const char *text = lua_tolstring(L, -1, &len);
  size_t begin = e->out.len;
  if (!put(e, text, len)) return false;
  lua_pop(L, 1);
  for (size_t i = begin; i < e->out.len; i++) {
    if (e->out.data[i] == '\n' || e->out.data[i] == '\r') e->out.data[i] = ' ';
  }
  return true;
}

static bool put_value(lua_State *L, struct encoder *e);

static bool put_list(lua_State *L, struct encoder *e, int t, lua_Integer n) {
  struct step *step = &e->path[e->depth - 1];
  if (!put(e, "[", 1)) return false;
  for (lua_Integer i = 1; i <= n; i++) {
    *step = (struct step){.index = i};
    if (i > 1 && !put(e, ",", 1)) return false;
    lua_rawgeti(L, t, i);
    if (!put_value(L, e)) return false;
    lua_pop(L, 1);
  }
  return put(e, "]", 1);
}

static int by_rank(const void *x, const void *y) {
  const struct entry *a = x, *b = y;
  if (a->rank != b->rank) return a->rank < b->rank ? -1 : 1;
  int c = memcmp(a->key, b->key, a->len < b->len ? a->len : b->len);
  return c ? c : a->len < b->len ? -1 : 1;
}

/* Notes the string key on top of the stack. */
static bool note_key(lua_State *L, struct encoder *e) {
  if (e->nentries == e->cap) {
    size_t cap = e->cap ? 2 * e->cap : 32;
    struct entry *entries = realloc(e->entries, cap * sizeof *entries);
    if (!entries) return fault(e, "memory", "not enough memory");
    e->entries = entries;
    e->cap = cap;
  }
  struct entry *entry = &e->entries[e->nentries++];
  entry->key = lua_tolstring(L, -1, &entry->len);
  if (e->refused && *entry->key == e->refused) return fault(e, "type", "a key of another kind");
  entry->rank = e->ordered ? ft_names_place(&e->order, entry->key, entry->len) : 0;
  if (entry->rank == 0) entry->rank = INT_MAX;
  return true;
}

static bool put_object(lua_State *L, struct encoder *e, int t) {
  size_t first = e->nentries;
  lua_pushnil(L);
  while (lua_next(L, t)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING)
      return fault(
          e, "type",
          "a table is either a list 1..n without holes or has names only, and this has a %s as key",
          lua_isinteger(L, -1) ? "number" : luaL_typename(L, -1));
    if (!note_key(L, e)) return false;
  }
  size_t last = e->nentries;
  if (last > first) qsort(e->entries + first, last - first, sizeof *e->entries, by_rank);
  if (!put(e, "{", 1)) return false;
  for (size_t i = first; i < last; i++) {
    const struct entry entry = e->entries[i]; /* a copy: the array may move */
    if (i > first && !put(e, ",", 1)) return false;
    if (!put_string(e, entry.key, entry.len, "key: ") || !put(e, ":", 1)) return false;
    e->path[e->depth - 1] = (struct step){.key = entry.key, .len = entry.len};
    lua_pushlstring(L, entry.key, entry.len);
    lua_rawget(L, t);
    if (!put_value(L, e)) return false;
    lua_pop(L, 1);
  }
  e->nentries = first;
  return put(e, "}", 1);
}

/* Length of a table with keys 1..n and no other, or -1. */
static lua_Integer list_length(lua_State *L, int t) {
  lua_Integer count = 0, length = (lua_Integer)lua_rawlen(L, t);
  lua_pushnil(L);
  while (lua_next(L, t)) {
    lua_pop(L, 1);
    lua_Integer i = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
    if (i < 1 || i > length) {
      lua_pop(L, 1);
      return -1;
    }
    count++;
  }
  return count == length ? count : -1;
}

static bool put_table(lua_State *L, struct encoder *e, int t) {
  if (e->depth == FT_JSON_MAX_DEPTH)
    return fault(e, "depth", "nested more than 512 levels deep (or a table inside itself)");
  int marked = 0;
  if (e->array_mark && lua_getmetatable(L, t)) {
    marked = lua_rawequal(L, -1, e->array_mark);
    lua_pop(L, 1);
  }
  lua_Integer length = list_length(L, t);
  if (marked && length < 0)
    return fault(e, "type", "marked as an array, but its keys are not 1..n");
  e->path[e->depth++] = (struct step){0};
  bool ok = marked || length > 0 ? put_list(L, e, t, length) : put_object(L, e, t);
  if (ok) e->depth--; /* else it tells where the fault is */
  return ok;
}

/* Writes the value on top of the stack and leaves it there. */
static bool put_value(lua_State *L, struct encoder *e) {
  int idx = lua_gettop(L);
  size_t len;
  const char *s;
  const struct ft_dataset_raw *raw;
  luaL_checkstack(L, 6, "nested tables");
  switch (lua_type(L, idx)) {
  case LUA_TSTRING:
    s = lua_tolstring(L, idx, &len);
    return put_string(e, s, len, "");
  case LUA_TNUMBER:
    return put_number(L, e, idx);
  case LUA_TBOOLEAN:
    return lua_toboolean(L, idx) ? put(e, "true", 4) : put(e, "false", 5);
  case LUA_TTABLE:
    return put_table(L, e, idx);
  case LUA_TLIGHTUSERDATA:
    if (!lua_touserdata(L, idx)) return put(e, "null", 4);
    break;
  case LUA_TUSERDATA:
    raw = luaL_testudata(L, idx, FT_DATASET_RAW);
    if (raw) return put_raw(L, e, idx, raw);
    break;
  default:
    break;
  }
  return fault(e, "type", "a %s cannot be written as JSON", luaL_typename(L, idx));
}

/* ---- faults ---- */

static bool is_name(const struct step *step) {
  for (size_t i = 0; i < step->len; i++) {
    char c = step->key[i];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!letter && (i == 0 || c < '0' || c > '9')) return false;
  }
  return step->len > 0 && step->len <= SHOWN_KEY;
}

/* nil, "messages[2].content: what", code. */
static int push_fault(lua_State *L, const struct encoder *e) {
  if (strcmp(e->code, "memory") == 0) return luaL_error(L, "not enough memory");
  luaL_pushfail(L);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (int i = 0; i < e->depth; i++) {
    const struct step *step = &e->path[i];
    char text[SHOWN_KEY + 16];
    if (!step->key) {
      if (step->index == 0) continue; /* the fault is the table's own */
      snprintf(text, sizeof text, "[%lld]", (long long)step->index);
    } else if (is_name(step)) {
      snprintf(text, sizeof text, "%s%.*s", i ? "." : "", (int)step->len, step->key);
    } else { /* only what is sure to be readable */
      size_t shown = ft_json_plain(step->key, step->len < SHOWN_KEY ? step->len : SHOWN_KEY);
      snprintf(text, sizeof text, "[\"%.*s%s\"]", (int)shown, step->key,
               shown < step->len ? "..." : "");
    }
    luaL_addstring(&b, text);
  }
  if (luaL_bufflen(&b)) luaL_addstring(&b, ": ");
  luaL_addstring(&b, e->message);
  luaL_pushresult(&b);
  lua_pushstring(L, e->code);
  return 3;
}

/* Takes over the list of names at index, unless it is the one that the encoder has: rows come one
 * after another with the same list. */
static void set_order(lua_State *L, struct encoder *e, int encoder, int list) {
  lua_getiuservalue(L, encoder, 1);
  bool same = lua_rawequal(L, -1, list);
  lua_pop(L, 1);
  if (same) return;
  lua_pushnil(L); /* a failure must leave no list that does not match */
  lua_setiuservalue(L, encoder, 1);
  ft_names_reset(&e->order);
  for (lua_Integer i = 1; lua_rawgeti(L, list, i) != LUA_TNIL; i++) {
    size_t len;
    luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING && i <= FT_NAMES_MAX, list,
                  "a list of key names, 200 at most");
    const char *name = lua_tolstring(L, -1, &len);
    if (!ft_names_add(&e->order, name, len)) luaL_error(L, "not enough memory");
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  lua_pushvalue(L, list);
  lua_setiuservalue(L, encoder, 1);
}

/* Writes the value on top of the stack, and leaves it there. */
static bool encode(struct encoder *e, lua_State *L) {
  if (e->out.cap > KEPT_BYTES || e->out.failed) {
    ft_buf_free(&e->out);
    ft_buf_init(&e->out, MAX_JSON_BYTES);
  }
  e->out.len = e->nentries = 0;
  e->depth = 0;
  return put_value(L, e);
}

/* The encoder is one for all calls: nothing in here calls back into Lua. */
int ft_dataset_encode(lua_State *L) {
  struct encoder *e = lua_touserdata(L, lua_upvalueindex(2));
  luaL_checkany(L, 1);
  if (!lua_isnoneornil(L, 2)) luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  e->ordered = lua_istable(L, 2);
  if (e->ordered) set_order(L, e, lua_upvalueindex(2), 2);
  luaL_getmetatable(L, FT_DATASET_ARRAY);
  e->array_mark = 3;
  lua_pushvalue(L, 1);
  if (!encode(e, L)) return push_fault(L, e);
  lua_pushlstring(L, e->out.data, e->out.len);
  return 1;
}

static const char *encode_anywhere(struct ft_encoder *self, lua_State *L, int index, size_t *len) {
  struct encoder *e = (struct encoder *)self;
  int top = lua_gettop(L);
  luaL_checkstack(L, 1, NULL);
  lua_pushvalue(L, index);
  bool ok = encode(e, L);
  lua_settop(L, top);
  *len = e->out.len;
  return ok ? e->out.data : NULL;
}

static struct encoder *push_encoder(lua_State *L) {
  struct encoder *e = lua_newuserdatauv(L, sizeof *e, 1);
  memset(e, 0, sizeof *e);
  e->face.encode = encode_anywhere;
  ft_buf_init(&e->out, MAX_JSON_BYTES);
  ft_names_init(&e->order);
  luaL_setmetatable(L, FT_ENCODER);
  return e;
}

void ft_dataset_push_encoder(lua_State *L) {
  push_encoder(L);
}

int ft_dataset_encoder(lua_State *L) {
  size_t len = 0;
  luaL_checktype(L, 1, LUA_TTABLE);
  const char *refused = luaL_optlstring(L, 2, "", &len);
  luaL_argcheck(L, len <= 1, 2, "one byte");
  lua_settop(L, 2);
  struct encoder *e = push_encoder(L);
  e->refused = *refused;
  e->ordered = true;
  set_order(L, e, 3, 1);
  return 1;
}

void ft_dataset_encode_types(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  ft_new_type(L, FT_ENCODER, none, encoder_close);
  luaL_newmetatable(L, FT_DATASET_RAW);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  luaL_newmetatable(L, FT_DATASET_ARRAY);
  lua_pop(L, 2);
}

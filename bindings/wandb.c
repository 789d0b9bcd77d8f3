/* What a W&B run log is made of: protobuf messages (fields by the shapes that Lua gives) in the
 * chunks of a LevelDB log, with plain CRC-32. Nothing here knows a field. */
#include "bindings.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>

#include "../host/buf.h"
#include "../host/native.h"
#include "wandb.h"

enum {
  BLOCK = 32768, /* counted from the file's first byte, its header included */
  CHUNK_HEADER = 7,
  DEPTH = 16, /* messages inside messages */
  MESSAGE_MAX = 64 << 20,
  KEPT_BYTES = 1 << 20,
  STACK = 10, /* Lua slots of one message */
  VARINT_MAX = 10,
};

enum chunk { FULL = 1, FIRST, MIDDLE, LAST };
enum kind { STRING, INT, BOOL, MESSAGE };

static const char SCRATCH[] = "ft.wandb.Scratch";

static int scratch_close(lua_State *L) {
  ft_buf_free(luaL_checkudata(L, 1, SCRATCH));
  return 0;
}

/* ---- shapes ---- */

struct field {
  uint32_t number;
  enum kind kind;
  bool repeated;
};

/* Reads field i of the shape, pushing its name and its kind (a message's own shape). */
static struct field push_field(lua_State *L, int shape, lua_Integer i) {
  struct field field = {0};
  if (lua_rawgeti(L, shape, i) != LUA_TTABLE) luaL_error(L, "a shape is a list of fields");
  lua_rawgeti(L, -1, 1);
  lua_Integer number = lua_tointeger(L, -1);
  lua_pop(L, 1);
  lua_rawgeti(L, -1, 4);
  field.repeated = lua_toboolean(L, -1);
  lua_pop(L, 1);
  if (lua_rawgeti(L, -1, 2) != LUA_TSTRING || number < 1 || number >= 1 << 29)
    luaL_error(L, "a field is { number, name, kind, repeated? }");
  field.number = (uint32_t)number;
  int type = lua_rawgeti(L, -2, 3);
  const char *kind = type == LUA_TSTRING ? lua_tostring(L, -1) : "";
  field.kind = type == LUA_TTABLE            ? MESSAGE
               : strcmp(kind, "string") == 0 ? STRING
               : strcmp(kind, "int") == 0    ? INT
                                             : BOOL;
  if (field.kind == BOOL && strcmp(kind, "bool") != 0)
    luaL_error(L, "field '%s': no such kind", lua_tostring(L, -2));
  lua_remove(L, -3);
  return field;
}

/* ---- encoding ---- */

void ft_wandb_put_varint(struct ft_buf *b, uint64_t v) {
  if (ft_buf_reserve(b, VARINT_MAX)) return;
  for (; v >= 0x80; v >>= 7) b->data[b->len++] = (char)(v | 0x80);
  b->data[b->len++] = (char)v;
  b->data[b->len] = '\0';
}

/* The length of what was written from `start` on goes before it; a byte is kept there, which is
 * mostly enough. */
static void close_length(struct ft_buf *b, size_t start) {
  if (b->failed) return;
  size_t len = b->len - start, more = 0;
  for (uint64_t v = len; v >= 0x80; v >>= 7) more++;
  if (ft_buf_reserve(b, more)) return;
  char *at = b->data + start;
  if (more) memmove(at + more, at, len);
  b->len += more;
  b->data[b->len] = '\0';
  at--;
  for (uint64_t v = len;; v >>= 7) {
    *at++ = (char)((v & 0x7f) | (v >= 0x80 ? 0x80 : 0));
    if (v < 0x80) break;
  }
}

static void put_message(lua_State *L, struct ft_buf *b, int shape, int value, int depth);

/* Writes the value on top of the stack; below it lie the field's name and kind. */
static void put_value(lua_State *L, struct ft_buf *b, struct field field, int depth) {
  static const int types[] = {
      [STRING] = LUA_TSTRING, [INT] = LUA_TNUMBER, [BOOL] = LUA_TBOOLEAN, [MESSAGE] = LUA_TTABLE};
  int top = lua_gettop(L), fits = 0;
  if (lua_type(L, top) != types[field.kind])
    luaL_error(L, "field '%s': expected %s, got %s", lua_tostring(L, top - 2),
               lua_typename(L, types[field.kind]), luaL_typename(L, top));
  bool delimited = field.kind == STRING || field.kind == MESSAGE;
  ft_wandb_put_varint(b, (uint64_t)field.number << 3 | (delimited ? LENGTH : VARINT));
  if (field.kind == STRING) {
    size_t len;
    const char *s = lua_tolstring(L, top, &len);
    ft_wandb_put_varint(b, len);
    ft_buf_add(b, s, len);
  } else if (field.kind == INT) {
    ft_wandb_put_varint(b, (uint64_t)lua_tointegerx(L, top, &fits));
    if (!fits) luaL_error(L, "field '%s': expected a whole number", lua_tostring(L, top - 2));
  } else if (field.kind == BOOL) {
    ft_wandb_put_varint(b, (uint64_t)lua_toboolean(L, top));
  } else {
    ft_buf_addc(b, 0);
    size_t start = b->len;
    put_message(L, b, top - 1, top, depth + 1);
    close_length(b, start);
  }
}

static void put_message(lua_State *L, struct ft_buf *b, int shape, int value, int depth) {
  if (depth > DEPTH) luaL_error(L, "messages are nested too deeply");
  luaL_checkstack(L, STACK, "nested messages");
  lua_Integer count = (lua_Integer)lua_rawlen(L, shape);
  for (lua_Integer i = 1; i <= count && !b->failed; i++) {
    struct field field = push_field(L, shape, i);
    lua_pushvalue(L, -2);
    int type = lua_rawget(L, value);
    if (type == LUA_TSTRING && field.repeated && field.kind == MESSAGE) {
      size_t len;
      const char *encoded = lua_tolstring(L, -1, &len); /* by items() */
      ft_buf_add(b, encoded, len);
    } else if (type != LUA_TNIL && field.repeated) {
      if (type != LUA_TTABLE) luaL_error(L, "field '%s': expected a list", lua_tostring(L, -3));
      lua_insert(L, -3); /* list, name, kind */
      lua_Integer items = (lua_Integer)lua_rawlen(L, -3);
      for (lua_Integer k = 1; k <= items && !b->failed; k++) {
        lua_rawgeti(L, -3, k);
        put_value(L, b, field, depth);
        lua_pop(L, 1);
      }
    } else if (type != LUA_TNIL) {
      put_value(L, b, field, depth);
    }
    lua_pop(L, 3);
  }
}

struct ft_buf *ft_wandb_scratch(lua_State *L) {
  struct ft_buf *b = lua_touserdata(L, lua_upvalueindex(1));
  if (b->failed || b->cap > KEPT_BYTES) {
    ft_buf_free(b);
    ft_buf_init(b, MESSAGE_MAX);
  }
  ft_buf_reset(b);
  return b;
}

static int wandb_encode(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  struct ft_buf *b = ft_wandb_scratch(L);
  put_message(L, b, 1, 2, 1);
  if (b->failed) return ft_fail(L, "too_large", "a W&B record of more than %d bytes", MESSAGE_MAX);
  lua_pushlstring(L, b->data ? b->data : "", b->len);
  return 1;
}

/* ---- decoding ---- */

struct cursor {
  const unsigned char *at, *end;
};

static bool get_varint(struct cursor *c, uint64_t *v) {
  *v = 0;
  for (unsigned shift = 0; shift < 64 && c->at < c->end; shift += 7) {
    unsigned char byte = *c->at++;
    *v |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

static bool skip(struct cursor *c, uint64_t n) {
  if (n > (uint64_t)(c->end - c->at)) return false;
  c->at += n;
  return true;
}

/* Pushes name and kind of the field with this number; false, with nothing pushed, when the shape
 * has none. */
static bool find_field(lua_State *L, int shape, uint64_t number, struct field *field) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, shape);
  for (lua_Integer i = 1; i <= count; i++) {
    *field = push_field(L, shape, i);
    if (field->number == number) return true;
    lua_pop(L, 2);
  }
  return false;
}

static bool push_message(lua_State *L, struct cursor c, int shape, int depth);

/* Pushes one value of the wire; false, with nothing pushed, when it is not of the field's kind. */
static bool push_value(lua_State *L, struct field field, int kind_at, uint64_t v,
                       struct cursor bytes, unsigned wire, int depth) {
  bool delimited = field.kind == STRING || field.kind == MESSAGE;
  if (wire != (delimited ? LENGTH : VARINT)) return false;
  if (field.kind == MESSAGE) return push_message(L, bytes, kind_at, depth + 1);
  if (field.kind == STRING)
    lua_pushlstring(L, (const char *)bytes.at, (size_t)(bytes.end - bytes.at));
  if (field.kind == INT) lua_pushinteger(L, (lua_Integer)v);
  if (field.kind == BOOL) lua_pushboolean(L, v != 0);
  return true;
}

static bool push_message(lua_State *L, struct cursor c, int shape, int depth) {
  if (depth > DEPTH) return false;
  luaL_checkstack(L, STACK, "nested messages");
  lua_newtable(L);
  int message = lua_gettop(L);
  while (c.at < c.end) {
    uint64_t tag, v = 0;
    struct cursor bytes = {0};
    if (!get_varint(&c, &tag)) break;
    unsigned wire = (unsigned)(tag & 7);
    bool whole = wire == VARINT    ? get_varint(&c, &v)
                 : wire == FIXED64 ? skip(&c, 8)
                                   : wire == FIXED32 && skip(&c, 4);
    if (wire == LENGTH && get_varint(&c, &v)) {
      bytes.at = c.at;
      whole = skip(&c, v);
      bytes.end = c.at;
    }
    if (!whole) goto broken;
    struct field field;
    if (!find_field(L, shape, tag >> 3, &field)) continue; /* of a newer writer */
    if (!push_value(L, field, message + 2, v, bytes, wire, depth)) goto broken;
    if (field.repeated) { /* name, kind, value -> appended to the list */
      lua_pushvalue(L, message + 1);
      if (lua_rawget(L, message) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, message + 1);
        lua_pushvalue(L, -2);
        lua_rawset(L, message);
      }
      lua_insert(L, -2);
      lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    } else {
      lua_pushvalue(L, message + 1);
      lua_insert(L, -2);
      lua_rawset(L, message);
    }
    lua_settop(L, message);
  }
  if (c.at == c.end) return true;
broken:
  lua_settop(L, message - 1);
  return false;
}

static int wandb_decode(lua_State *L) {
  size_t len;
  luaL_checktype(L, 1, LUA_TTABLE);
  const unsigned char *bytes = (const unsigned char *)luaL_checklstring(L, 2, &len);
  lua_settop(L, 2);
  if (!push_message(L, (struct cursor){bytes, bytes + len}, 1, 1))
    return ft_fail(L, "format", "not a message of this shape");
  return 1;
}

/* ---- chunks ---- */

static uint32_t chunk_crc(unsigned char type, const unsigned char *bytes, size_t len) {
  uLong crc = crc32(0, &type, 1);
  return (uint32_t)(len ? crc32(crc, bytes, (uInt)len) : crc);
}

static int wandb_frame(lua_State *L) {
  lua_Integer position = luaL_checkinteger(L, 1);
  size_t left;
  const unsigned char *bytes = (const unsigned char *)luaL_checklstring(L, 2, &left);
  luaL_argcheck(L, position >= 0, 1, "a place in a file");
  luaL_argcheck(L, left <= MESSAGE_MAX, 2, "at most 64 MiB");
  uint64_t at = (uint64_t)position;
  luaL_Buffer b;
  size_t chunks = left / (BLOCK - CHUNK_HEADER) + 3;
  unsigned char *start = (unsigned char *)luaL_buffinitsize(L, &b, left + chunks * CHUNK_HEADER),
                *out = start;
  for (bool first = true;; first = false) {
    size_t room = BLOCK - at % BLOCK;
    if (room < CHUNK_HEADER) {
      memset(out, 0, room);
      out += room;
      at += room;
      room = BLOCK;
    }
    size_t n = left < room - CHUNK_HEADER ? left : room - CHUNK_HEADER;
    unsigned char type = n == left ? (first ? FULL : LAST) : (first ? FIRST : MIDDLE);
    uint32_t crc = chunk_crc(type, bytes, n);
    for (int i = 0; i < 4; i++) *out++ = (unsigned char)(crc >> 8 * i);
    *out++ = (unsigned char)n;
    *out++ = (unsigned char)(n >> 8);
    *out++ = type;
    memcpy(out, bytes, n);
    out += n;
    bytes += n;
    left -= n;
    at += CHUNK_HEADER + n;
    if (!left) break;
  }
  luaL_pushresultsize(&b, (size_t)(out - start));
  return 1;
}

static int cut_off(lua_State *L, size_t at) {
  return ft_fail(L, "cut", "the record at byte %zu is cut off", at);
}

static int wandb_unframe(lua_State *L) {
  size_t len;
  const unsigned char *file = (const unsigned char *)luaL_checklstring(L, 1, &len);
  lua_Integer position = luaL_checkinteger(L, 2);
  luaL_argcheck(L, position >= 0 && (uint64_t)position <= len, 2, "a place in the file");
  size_t at = (size_t)position, begin = at;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (bool first = true;; first = false) {
    size_t room = BLOCK - at % BLOCK;
    if (room < CHUNK_HEADER) at = room < len - at ? at + room : len;
    if (at == len) {
      if (!first) return cut_off(L, begin);
      luaL_pushfail(L);
      return 1;
    }
    if (len - at < CHUNK_HEADER) return cut_off(L, begin);
    const unsigned char *p = file + at;
    uint32_t crc = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    size_t n = p[4] | (size_t)p[5] << 8;
    unsigned char type = p[6];
    bool starts = type == FULL || type == FIRST, ends = type == FULL || type == LAST;
    if (type < FULL || type > LAST || starts != first || at % BLOCK + CHUNK_HEADER + n > BLOCK)
      return ft_fail(L, "format", "no record at byte %zu", at);
    if (n > len - at - CHUNK_HEADER) return cut_off(L, begin);
    if (crc != chunk_crc(type, p + CHUNK_HEADER, n))
      return ft_fail(L, "checksum", "the checksum at byte %zu is wrong", at);
    luaL_addlstring(&b, (const char *)p + CHUNK_HEADER, n);
    at += CHUNK_HEADER + n;
    if (ends) break;
  }
  luaL_pushresult(&b);
  lua_pushinteger(L, (lua_Integer)at);
  return 2;
}

static const luaL_Reg functions[] = {
    {"decode", wandb_decode},
    {"frame", wandb_frame},
    {"unframe", wandb_unframe},
    {NULL, NULL},
};

int luaopen_ft_wandb(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  ft_new_type(L, SCRATCH, none, scratch_close);
  luaL_newlib(L, functions);
  struct ft_buf *b = lua_newuserdatauv(L, sizeof *b, 0);
  ft_buf_init(b, MESSAGE_MAX);
  luaL_setmetatable(L, SCRATCH);
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, ft_wandb_items, 1);
  lua_setfield(L, -3, "items");
  lua_pushcclosure(L, wandb_encode, 1);
  lua_setfield(L, -2, "encode");
  return 1;
}

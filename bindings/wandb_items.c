/* A row of plain values as protobuf, in one go: what is logged most often must cost least. */
#include <lauxlib.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "decimal.h"
#include "jsonstring.h"
#include "wandb.h"

enum { ITEMS_MAX = 64, TEXT_MAX = 1 << 16 };

/* A value by its name; texts lie in the table. */
struct item {
  const char *key, *text;
  size_t key_len, len;
  bool quoted;
  char number[FT_DECIMAL_MAX];
};

/* Takes the value on top of the stack; false when it is none of the plain ones. */
static bool take_value(lua_State *L, struct item *item) {
  item->quoted = lua_type(L, -1) == LUA_TSTRING;
  switch (lua_type(L, -1)) {
  case LUA_TBOOLEAN:
    item->text = lua_toboolean(L, -1) ? "true" : "false";
    item->len = strlen(item->text);
    return true;
  case LUA_TNUMBER:
    item->text = item->number;
    if (lua_isinteger(L, -1)) {
      item->len = (size_t)snprintf(item->number, FT_DECIMAL_MAX, LUA_INTEGER_FMT,
                                   (LUAI_UACINT)lua_tointeger(L, -1));
      return true;
    }
    if (!isfinite(lua_tonumber(L, -1))) return false;
    item->len = ft_decimal(item->number, lua_tonumber(L, -1));
    return true;
  case LUA_TSTRING:
    item->text = lua_tolstring(L, -1, &item->len);
    return item->len <= TEXT_MAX && ft_json_plain(item->text, item->len) == item->len;
  default:
    return false;
  }
}

static int compare_keys(const struct item *a, const struct item *b) {
  size_t n = a->key_len < b->key_len ? a->key_len : b->key_len;
  int order = memcmp(a->key, b->key, n);
  return order ? order : (a->key_len > b->key_len) - (a->key_len < b->key_len);
}

static size_t varint_size(uint64_t v) {
  size_t n = 1;
  while (v >>= 7) n++;
  return n;
}

int ft_wandb_items(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  uint64_t tags[3];
  for (int i = 0; i < 3; i++) {
    lua_Integer number = luaL_checkinteger(L, 2 + i);
    luaL_argcheck(L, number >= 1 && number < 1 << 29, 2 + i, "the number of a field");
    tags[i] = (uint64_t)number << 3 | LENGTH;
  }
  lua_settop(L, 1);
  struct item items[ITEMS_MAX];
  struct item *sorted[ITEMS_MAX];
  int count = 0;
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    if (count == ITEMS_MAX || lua_type(L, -2) != LUA_TSTRING) goto none;
    struct item *item = &items[count];
    item->key = lua_tolstring(L, -2, &item->key_len);
    if (ft_json_plain(item->key, item->key_len) != item->key_len || !take_value(L, item)) goto none;
    int at = count++;
    for (; at > 0 && compare_keys(item, sorted[at - 1]) < 0; at--) sorted[at] = sorted[at - 1];
    sorted[at] = item;
    lua_pop(L, 1);
  }
  struct ft_buf *b = ft_wandb_scratch(L);
  for (int i = 0; i < count; i++) {
    struct item *item = sorted[i];
    size_t text_len = item->len + (item->quoted ? 2 : 0);
    ft_wandb_put_varint(b, tags[0]);
    ft_wandb_put_varint(b, varint_size(tags[1]) + varint_size(item->key_len) + item->key_len +
                               varint_size(tags[2]) + varint_size(text_len) + text_len);
    ft_wandb_put_varint(b, tags[1]);
    ft_wandb_put_varint(b, item->key_len);
    ft_buf_add(b, item->key, item->key_len);
    ft_wandb_put_varint(b, tags[2]);
    ft_wandb_put_varint(b, text_len);
    if (item->quoted) ft_buf_addc(b, '"');
    ft_buf_add(b, item->text, item->len);
    if (item->quoted) ft_buf_addc(b, '"');
  }
  if (!b->failed) {
    lua_pushlstring(L, b->data ? b->data : "", b->len);
    return 1;
  }
none:
  luaL_pushfail(L);
  return 1;
}

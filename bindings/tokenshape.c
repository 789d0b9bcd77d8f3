#include "tokenshape.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "../host/native.h"
#include "jsonstring.h"

enum { NODES_MAX = 256, DEPTH_MAX = 16, KEY_MAX = 64 };
enum { SKIP, TEXT, JSON };
enum { MEMO_MIN = 256, MEMO_MAX = 1 << 16 };

/* Nodes are told by their index; 0 counts nothing, 1 is the root. */
struct node {
  int add, count;
  int each, others;   /* of an array's items, of keys that are not named */
  int child, sibling; /* a list of the keys that are named */
  size_t key_len;
  char key[KEY_MAX];
};

struct ft_shape {
  int nodes;
  struct node node[NODES_MAX];
};

/* ---- from Lua ---- */

static int read_node(lua_State *L, struct ft_shape *s, int table, int depth);

static int read_child(lua_State *L, struct ft_shape *s, int table, const char *name, int depth) {
  int node = 0;
  lua_pushstring(L, name);
  if (lua_rawget(L, table) != LUA_TNIL) node = read_node(L, s, lua_gettop(L), depth + 1);
  lua_pop(L, 1);
  return node;
}

static void read_keys(lua_State *L, struct ft_shape *s, int node, int depth) {
  int keys = lua_gettop(L);
  luaL_checktype(L, keys, LUA_TTABLE);
  lua_pushnil(L);
  while (lua_next(L, keys)) {
    size_t len = 0;
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tolstring(L, -2, &len) : NULL;
    if (!key || len >= KEY_MAX) luaL_error(L, "a shape's keys are strings of less than 64 bytes");
    int child = read_node(L, s, lua_gettop(L), depth + 1);
    memcpy(s->node[child].key, key, len);
    s->node[child].key_len = len;
    s->node[child].sibling = s->node[node].child;
    s->node[node].child = child;
    lua_pop(L, 1);
  }
}

/* The table at the absolute index as a new node. [-0, +0, v] */
static int read_node(lua_State *L, struct ft_shape *s, int table, int depth) {
  static const char *const fields[] = {"add", "count", "each", "others", "keys", NULL};
  luaL_checkstack(L, 8, "a shape");
  if (depth > DEPTH_MAX || s->nodes == NODES_MAX) luaL_error(L, "a shape with too many nodes");
  ft_check_keys(L, table, fields);
  int node = s->nodes++;
  s->node[node].add = (int)ft_opt_number(L, table, "add", 0);
  const char *count = ft_opt_string(L, table, "count", "", NULL);
  if (*count && strcmp(count, "text") != 0 && strcmp(count, "json") != 0)
    luaL_error(L, "a shape's count is \"text\" or \"json\"");
  s->node[node].count = *count == 't' ? TEXT : *count == 'j' ? JSON : SKIP;
  s->node[node].each = read_child(L, s, table, "each", depth);
  s->node[node].others = read_child(L, s, table, "others", depth);
  lua_pushstring(L, "keys");
  if (lua_rawget(L, table) != LUA_TNIL) read_keys(L, s, node, depth);
  lua_pop(L, 1);
  return node;
}

int ft_tokenizer_shape(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  struct ft_shape *s = lua_newuserdatauv(L, sizeof *s, 0);
  memset(s, 0, sizeof *s);
  s->nodes = 1;
  luaL_setmetatable(L, FT_TOKENIZER_SHAPE);
  read_node(L, s, 1, 0);
  return 1;
}

static int shape_close(lua_State *L) {
  (void)L; /* owns nothing */
  return 0;
}

void ft_tokenizer_shape_type(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  ft_new_type(L, FT_TOKENIZER_SHAPE, none, shape_close);
}

/* ---- counting ---- */

/* The token's string without escapes; *len gets its length. NULL: no memory. */
static const char *plain(struct ft_counter *c, size_t *len) {
  const struct ft_json *j = &c->json;
  *len = j->len;
  if (!j->escaped) return j->start;
  ft_buf_reset(&c->text);
  if (ft_buf_reserve(&c->text, j->len)) {
    ft_buf_init(&c->text, c->text.limit); /* usable again for the next row */
    return NULL;
  }
  *len = ft_json_unescape(c->text.data, j->start, j->len);
  return c->text.data;
}

static int64_t count_plain(struct ft_counter *c) {
  size_t len;
  const char *text = plain(c, &len);
  return text ? ft_bpe_count(c->bpe, text, len) : FT_ROW_MEMORY;
}

/* Tells most different strings apart, by their length and their ends. */
static uint64_t print_of(const char *s, size_t len) {
  uint64_t first, last;
  memcpy(&first, s, sizeof first);
  memcpy(&last, s + len - sizeof last, sizeof last);
  return (first ^ last * UINT64_C(0x9E3779B97F4A7C15)) + len;
}

static void keep(struct ft_memo *m, const char *s, size_t len, int64_t tokens) {
  char *bytes = realloc(m->bytes, len);
  if (!bytes) return; /* it is only slower without */
  m->bytes = memcpy(bytes, s, len);
  m->len = len;
  m->tokens = tokens;
}

void ft_counter_forget(struct ft_counter *c) {
  for (int i = 0; i < FT_MEMOS; i++) {
    free(c->memos[i].bytes);
    c->memos[i] = (struct ft_memo){0};
  }
}

/* The current token's string, the place-th of its row that counts. Equal bytes between the quotes
 * mean equal strings. */
static int64_t count_string(struct ft_counter *c, int place) {
  const struct ft_json *j = &c->json;
  if (place >= FT_MEMOS || j->len < MEMO_MIN || j->len > MEMO_MAX) return count_plain(c);
  struct ft_memo *m = &c->memos[place];
  if (m->bytes && m->len == j->len && memcmp(m->bytes, j->start, j->len) == 0) return m->tokens;
  uint64_t print = print_of(j->start, j->len);
  int64_t n = count_plain(c);
  if (n >= 0 && m->print == print) keep(m, j->start, j->len, n);
  m->print = print;
  return n;
}

/* The node for the key that is the current token, below the node `above`; -1: no memory. */
static int find_key(const struct ft_shape *s, struct ft_counter *c, int above) {
  size_t len;
  if (!above) return 0;
  const char *key = plain(c, &len);
  if (!key) return -1;
  for (int i = s->node[above].child; i; i = s->node[i].sibling)
    if (s->node[i].key_len == len && memcmp(s->node[i].key, key, len) == 0) return i;
  return s->node[above].others;
}

int64_t ft_shape_count(const struct ft_shape *s, struct ft_counter *c, const char *row, size_t len,
                       bool sound) {
  struct ft_json *j = &c->json;
  uint16_t nodes[FT_JSON_MAX_DEPTH]; /* of what is open */
  int key = 0, place = 0,
      json_depth = -1; /* json_depth: what is open there is counted as JSON text */
  const char *json_start = row;
  int64_t total = 0, n = 0;
  ft_json_start(j, row, len);
  j->sound = sound;
  for (;;) {
    int depth = j->depth;
    enum ft_json_token token = ft_json_next(j);
    if (token == FT_JSON_END) return total;
    if (token == FT_JSON_FAULT) return strcmp(j->code, "memory") == 0 ? FT_ROW_MEMORY : FT_ROW_JSON;
    if (token == FT_JSON_OBJECT_END || token == FT_JSON_ARRAY_END) {
      if (j->depth == json_depth) {
        n = ft_bpe_count(c->bpe, json_start, (size_t)(j->start + 1 - json_start));
        if (n < 0) return FT_ROW_MEMORY;
        total += n;
        json_depth = -1;
      }
      continue;
    }
    int above = depth ? nodes[depth - 1] : 0;
    if (token == FT_JSON_KEY) {
      key = find_key(s, c, above);
      if (key < 0) return FT_ROW_MEMORY;
      continue;
    }
    int node = depth == 0 ? 1 : j->levels[depth - 1].object ? key : s->node[above].each;
    const struct node *at = &s->node[node];
    total += at->add;
    if (token == FT_JSON_STRING && at->count != SKIP) {
      n = count_string(c, place++);
      if (n < 0) return FT_ROW_MEMORY;
      total += n;
    } else if (token == FT_JSON_OBJECT || token == FT_JSON_ARRAY) {
      nodes[depth] = (uint16_t)node;
      if (at->count == JSON) {
        json_depth = depth;
        json_start = j->start;
        nodes[depth] = 0; /* its parts are in its text */
      }
    }
  }
}

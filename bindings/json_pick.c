#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "dataset.h"
#include "jsonscan.h"
#include "jsonstring.h"

enum { PATHS_MAX = 8, STEPS_MAX = 16, LAST = -1 };

struct step {
  const char *name; /* NULL: index */
  size_t len;
  long index; /* from 0, or LAST */
};

struct path {
  struct step steps[STEPS_MAX];
  int count;
  int matched;           /* steps that fit where the scan is */
  const char *container; /* the value has begun, and ends with its bracket at depth count */
};

/* What dataset.pick works on. The values are in the table at index 3. */
struct pick {
  struct ft_json *s;
  struct path paths[PATHS_MAX];
  int count;
  long index[FT_JSON_MAX_DEPTH]; /* items that have come, of each open array */
};

/* "metadata.law", "messages[0].content", "messages[-1].content" */
static void parse(lua_State *L, int arg, struct path *path) {
  size_t len;
  const char *text = luaL_checklstring(L, arg, &len), *p = text, *end = text + len;
  path->count = 0;
  path->container = NULL;
  path->matched = 0;
  while (p < end && path->count < STEPS_MAX) {
    struct step *step = &path->steps[path->count++];
    *step = (struct step){0};
    if (*p == '[') {
      char *after;
      step->index = strtol(p + 1, &after, 10);
      luaL_argcheck(L, after > p + 1 && *after == ']' && step->index >= LAST, arg,
                    "an index is a number from 0 in brackets, or [-1] for the last");
      p = after + 1;
    } else {
      p += path->count > 1 && *p == '.';
      step->name = p;
      while (p < end && *p != '.' && *p != '[') p++;
      step->len = (size_t)(p - step->name);
      luaL_argcheck(L, step->len, arg, "a path such as metadata.law or messages[0].content");
    }
  }
  luaL_argcheck(L, p == end, arg, "a path of at most 16 steps");
  luaL_argcheck(L, path->count, arg, "an empty path");
}

static bool same_name(const struct ft_json *s, const struct step *step) {
  if (!step->name) return false;
  if (!s->escaped) return s->len == step->len && memcmp(s->start, step->name, s->len) == 0;
  const char *p = s->start, *end = p + s->len;
  size_t at = 0;
  while (p < end) {
    char held[4];
    size_t n = 1;
    if (*p == '\\')
      n = ft_json_unescape_one(held, &p, end);
    else
      held[0] = *p++;
    if (n > step->len - at || memcmp(held, step->name + at, n) != 0) return false;
    at += n;
  }
  return at == step->len;
}

/* The element of the innermost open value has changed: its depth is depth. */
static void enter(lua_State *L, struct pick *k, int depth, bool object) {
  for (int i = 0; i < k->count; i++) {
    struct path *path = &k->paths[i];
    if (path->matched < depth - 1 || depth > path->count) continue;
    const struct step *step = &path->steps[depth - 1];
    path->matched = depth - 1;
    if (object ? !same_name(k->s, step)
               : step->name || (step->index != LAST && step->index != k->index[depth - 1]))
      continue;
    path->matched = depth;
    if (object || step->index != LAST) continue;
    lua_pushboolean(L, 0); /* what an earlier item had is not the last one's */
    lua_rawseti(L, 3, i + 1);
  }
}

static void push_value(lua_State *L, const struct ft_json *s, enum ft_json_token token) {
  if (token == FT_JSON_NULL) {
    lua_pushboolean(L, 0);
  } else if (token == FT_JSON_STRING && s->escaped) {
    luaL_Buffer b;
    char *out = luaL_buffinitsize(L, &b, s->len);
    luaL_pushresultsize(&b, ft_json_unescape(out, s->start, s->len));
  } else {
    lua_pushlstring(L, s->start, s->len);
  }
}

/* A value has begun, inside of depth open ones. */
static void take(lua_State *L, struct pick *k, enum ft_json_token token, int depth) {
  for (int i = 0; i < k->count; i++) {
    struct path *path = &k->paths[i];
    if (path->count != depth || path->matched != depth) continue;
    if (token == FT_JSON_OBJECT || token == FT_JSON_ARRAY) {
      path->container = k->s->start;
    } else {
      push_value(L, k->s, token);
      lua_rawseti(L, 3, i + 1);
    }
  }
}

/* A bracket has closed what stood inside of depth others. */
static void close(lua_State *L, struct pick *k, int depth) {
  for (int i = 0; i < k->count; i++) {
    struct path *path = &k->paths[i];
    if (!path->container || path->count != depth) continue;
    lua_pushlstring(L, path->container, (size_t)(k->s->start + 1 - path->container));
    lua_rawseti(L, 3, i + 1);
    path->container = NULL;
  }
}

/* Stack: 1 text, 2 list of paths, 3 values. A value error may leave the shared scanner anywhere:
 * its next user starts it anew. */
int ft_dataset_pick(lua_State *L) {
  struct pick k = {.s = lua_touserdata(L, lua_upvalueindex(1))};
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  k.count = (int)lua_rawlen(L, 2);
  luaL_argcheck(L, k.count <= PATHS_MAX, 2, "at most 8 paths");
  lua_createtable(L, k.count, 0);
  for (int i = 0; i < k.count; i++) {
    lua_rawgeti(L, 2, i + 1);
    parse(L, 4, &k.paths[i]); /* the list keeps the text */
    lua_pop(L, 1);
    lua_pushboolean(L, 0);
    lua_rawseti(L, 3, i + 1);
  }
  ft_json_start(k.s, text, len);
  for (;;) {
    int depth = k.s->depth;
    enum ft_json_token token = ft_json_next(k.s);
    switch (token) {
    case FT_JSON_FAULT:
      return ft_dataset_push_fault(L, k.s);
    case FT_JSON_END:
      return 1;
    case FT_JSON_KEY:
      enter(L, &k, depth, true);
      break;
    case FT_JSON_OBJECT_END:
    case FT_JSON_ARRAY_END:
      close(L, &k, k.s->depth);
      break;
    default:
      if (depth && !k.s->levels[depth - 1].object) {
        enter(L, &k, depth, false);
        k.index[depth - 1]++;
      }
      take(L, &k, token, depth);
      if (token == FT_JSON_ARRAY) k.index[depth] = 0;
    }
  }
}

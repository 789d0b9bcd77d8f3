/* Rows of JSONL as skeletons (skeleton.h), for Lua: one at a time (dataset.shape), or a whole file
 * (dataset.scan), which enters Lua only for rows that Lua has not accepted the like of, and for
 * faults. */
#include <lauxlib.h>
#include <string.h>

#include "../host/native.h"
#include "dataset.h"
#include "lines.h"
#include "known.h"
#include "skeleton.h"

static const char SHAPE[] = "ft.dataset.Shape", SCAN[] = "ft.dataset.Scan";

enum { TURN_BYTES = 4 << 20, ROW_FAULTS = 16 };

struct shape {
  struct ft_shape shape;
  struct ft_skeleton skeleton; /* for Shape:skeleton */
};

enum stage { NEXT_LINE, AFTER_BOM, AFTER_CR, IN_FAULTS, ENDED };

/* User values: 1 the path, 2 the shape. */
struct scan {
  struct ft_lines lines;
  struct ft_skeleton skeleton;
  struct ft_known known;
  struct ft_shape *shape;
  size_t tell_from; /* tell of accepted rows too from so many bytes on */
  enum stage stage; /* what is done of the current line */
  size_t bom;       /* bytes that the current line begins with and that are no JSON */
  int faults;       /* of the current line */
  lua_Integer rows; /* lines that are not blank */
  long long turn;   /* offset at which others get their turn */
};

/* ---- shapes ---- */

static int shape_close(lua_State *L) {
  struct shape *s = luaL_checkudata(L, 1, SHAPE);
  ft_skeleton_free(&s->skeleton);
  ft_shape_free(&s->shape);
  return 0;
}

static const struct {
  const char *name;
  int use;
} uses[] = {{"open", FT_SHAPE_OPEN}, {"value", FT_SHAPE_VALUE}, {"link", FT_SHAPE_LINK},
            {"json", FT_SHAPE_JSON}, {"head", FT_SHAPE_HEAD},   {"link2", FT_SHAPE_LINK2}};

static void add_keys(lua_State *L, struct ft_shape *shape, int use) {
  size_t len;
  lua_Integer n = luaL_len(L, -1);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, -1, i);
    const char *key = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
    if (!key || !ft_shape_add(shape, key, len, use))
      luaL_error(L, "shape: at most %d keys of 1 to %d bytes", FT_SHAPE_MAX_KEYS, FT_SHAPE_MAX_KEY);
    lua_pop(L, 1);
  }
}

int ft_dataset_shape(lua_State *L) {
  static const char *const allowed[] = {"open", "value", "link", "link2",
                                        "json", "head",  "long", NULL};
  luaL_checktype(L, 1, LUA_TTABLE);
  ft_check_keys(L, 1, allowed);
  double limit = ft_opt_number(L, 1, "long", 1 << 30);
  luaL_argcheck(L, limit >= 0 && limit <= 1 << 30, 1, "long: 0 to 2^30 bytes");
  lua_settop(L, 1);
  struct shape *s = lua_newuserdatauv(L, sizeof *s, 0);
  ft_shape_init(&s->shape);
  s->shape.long_bytes = (size_t)limit;
  ft_skeleton_init(&s->skeleton);
  luaL_setmetatable(L, SHAPE);
  for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
    if (lua_getfield(L, 1, uses[i].name) != LUA_TNIL) {
      luaL_checktype(L, -1, LUA_TTABLE);
      add_keys(L, &s->shape, uses[i].use);
    }
    lua_pop(L, 1);
  }
  return 1;
}

/* Pushes message, code and offset of the fault in a row. */
static int push_fault(lua_State *L, const struct ft_json *s, size_t bom) {
  if (strcmp(s->code, "memory") == 0) return luaL_error(L, "not enough memory");
  lua_pushstring(L, s->message);
  lua_pushstring(L, s->code);
  lua_pushinteger(L, (lua_Integer)(s->offset + bom));
  return 3;
}

static int shape_skeleton(lua_State *L) {
  struct shape *s = luaL_checkudata(L, 1, SHAPE);
  size_t len;
  const char *text = luaL_checklstring(L, 2, &len);
  bool sound = lua_toboolean(L, 3);
  if (ft_skeleton_make(&s->skeleton, &s->shape, text, len, sound) == FT_JSON_END) {
    lua_pushlstring(L, s->skeleton.text.data, s->skeleton.text.len);
    return 1;
  }
  lua_pushnil(L);
  return 1 + push_fault(L, &s->skeleton.scan, 0);
}

/* ---- files ---- */

static int scan_close(lua_State *L) {
  struct scan *s = luaL_checkudata(L, 1, SCAN);
  ft_lines_close(&s->lines);
  ft_skeleton_free(&s->skeleton);
  ft_known_free(&s->known);
  return 0;
}

int ft_dataset_scan(lua_State *L) {
  size_t max_line;
  const char *path = ft_dataset_check_path(L, 1, 3, &max_line);
  struct shape *shape = luaL_checkudata(L, 2, SHAPE);
  lua_Integer tell_from = luaL_optinteger(L, 4, LUA_MAXINTEGER);
  luaL_argcheck(L, tell_from >= 0, 4, "a number of bytes");
  lua_settop(L, 2);
  struct scan *s = lua_newuserdatauv(L, sizeof *s, 2);
  memset(s, 0, sizeof *s);
  ft_lines_init(&s->lines, max_line);
  ft_skeleton_init(&s->skeleton);
  ft_known_init(&s->known);
  s->shape = &shape->shape;
  s->tell_from = (size_t)tell_from;
  s->turn = TURN_BYTES;
  luaL_setmetatable(L, SCAN);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, 2);
  if (ft_lines_open(&s->lines, path)) return 1;
  return ft_dataset_lines_fault(L, &s->lines, path);
}

static struct scan *check_scan(lua_State *L) {
  struct scan *s = luaL_checkudata(L, 1, SCAN);
  luaL_argcheck(L, s->lines.buf, 1, "the scan is closed");
  return s;
}

/* ---- events: a kind, the line's number, and more ---- */

static int push_kind(lua_State *L, const struct scan *s, const char *kind) {
  lua_pushstring(L, kind);
  lua_pushinteger(L, s->lines.number);
  return 2;
}

static int fault(lua_State *L, const struct scan *s, const char *code, const char *message,
                 size_t offset) {
  push_kind(L, s, "fault");
  lua_pushstring(L, message);
  lua_pushstring(L, code);
  lua_pushinteger(L, (lua_Integer)offset);
  return 5;
}

static bool begins(const struct ft_lines *l, const char *bytes) {
  size_t n = strlen(bytes);
  return l->len >= n && memcmp(l->text, bytes, n) == 0;
}

static bool is_blank(const char *p, size_t len) {
  while (len && (*p == ' ' || *p == '\t' || *p == '\r')) p++, len--;
  return len == 0;
}

/* The next line. 0: there is one, or results. */
static int next_line(lua_State *L, struct scan *s) {
  s->bom = 0;
  s->faults = 0;
  if (ft_lines_next(&s->lines)) return 0;
  if (s->lines.code && strcmp(s->lines.code, "too_long") == 0) {
    size_t end = s->lines.max_line;
    s->rows++;
    ft_lines_skip(&s->lines); /* a fault of it comes with the next line */
    return fault(L, s, "too_long", "the line is longer than ftrun reads", end);
  }
  s->stage = ENDED;
  lua_getiuservalue(L, 1, 1);
  if (s->lines.code) return ft_dataset_lines_fault(L, &s->lines, lua_tostring(L, -1));
  lua_pushnil(L);
  return 1;
}

/* Marks at the beginning of the file. 0: none. */
static int check_bom(lua_State *L, struct scan *s) {
  s->stage = AFTER_BOM;
  if (s->lines.number > 1) return 0;
  if (begins(&s->lines, "\xFF\xFE") || begins(&s->lines, "\xFE\xFF")) {
    s->stage = ENDED;
    return fault(L, s, "utf16", "the file is UTF-16", 0);
  }
  if (!begins(&s->lines, "\xEF\xBB\xBF")) return 0;
  s->bom = 3;
  return fault(L, s, "bom", "a byte order mark at the beginning", 0);
}

static int check_line_end(lua_State *L, struct scan *s) {
  s->stage = AFTER_CR;
  if (s->lines.end != 2) return 0;
  return fault(L, s, "crlf", "the line ends in \\r\\n", s->lines.len);
}

/* The next fault of a row that has had one. 0: no more. */
static int more_faults(lua_State *L, struct scan *s) {
  enum ft_json_token token = FT_JSON_END;
  s->stage = NEXT_LINE;
  if (++s->faults >= ROW_FAULTS || !ft_json_recover(&s->skeleton.scan)) return 0;
  do token = ft_json_next(&s->skeleton.scan);
  while (token > FT_JSON_END);
  if (token == FT_JSON_END) return 0;
  s->stage = IN_FAULTS;
  push_kind(L, s, "fault");
  return 2 + push_fault(L, &s->skeleton.scan, s->bom);
}

/* The row itself. 0: nothing to say. */
static int judge(lua_State *L, struct scan *s) {
  const char *text = s->lines.text + s->bom;
  size_t len = s->lines.len - s->bom;
  bool fresh;
  s->stage = NEXT_LINE;
  if (is_blank(text, len)) return fault(L, s, "empty", "an empty line", s->bom);
  s->rows++;
  if (ft_skeleton_make(&s->skeleton, s->shape, text, len, false) == FT_JSON_FAULT) {
    s->stage = IN_FAULTS;
    push_kind(L, s, "fault");
    return 2 + push_fault(L, &s->skeleton.scan, s->bom);
  }
  const struct ft_buf *skeleton = &s->skeleton.text;
  int number = ft_known_find(&s->known, skeleton->data, skeleton->len, &fresh);
  if (number < 0) return luaL_error(L, "not enough memory");
  bool accepted = number > 0 && ft_known_marked(&s->known, number);
  if (accepted && len < s->tell_from) return 0;
  push_kind(L, s, accepted ? "accepted" : fresh || number == 0 ? "new" : "known");
  lua_pushinteger(L, number);
  if (accepted || (number > 0 && !fresh)) return 3;
  lua_pushlstring(L, skeleton->data, skeleton->len);
  return 4;
}

static int scan_next(lua_State *L) {
  struct scan *s = check_scan(L);
  int n = 0;
  lua_settop(L, 1);
  for (;;) {
    switch (s->stage) {
    case NEXT_LINE:
      if (s->lines.offset >= s->turn) {
        s->turn = s->lines.offset + TURN_BYTES;
        return push_kind(L, s, "turn");
      }
      n = next_line(L, s);
      if (n == 0) n = check_bom(L, s);
      break;
    case AFTER_BOM:
      n = check_line_end(L, s);
      break;
    case AFTER_CR:
      n = judge(L, s);
      break;
    case IN_FAULTS:
      n = more_faults(L, s);
      break;
    case ENDED:
      lua_pushnil(L);
      return 1;
    }
    if (n) return n;
  }
}

static int scan_accept(lua_State *L) {
  struct scan *s = check_scan(L);
  lua_Integer number = luaL_checkinteger(L, 2);
  if (number >= 1 && number <= FT_KNOWN_MAX) ft_known_mark(&s->known, (int)number);
  return 0;
}

static int scan_line(lua_State *L) {
  const struct scan *s = check_scan(L);
  if (s->lines.text)
    lua_pushlstring(L, s->lines.text + s->bom, s->lines.len - s->bom);
  else
    lua_pushnil(L);
  return 1;
}

static int scan_position(lua_State *L) {
  const struct scan *s = check_scan(L);
  lua_pushinteger(L, ft_lines_used(&s->lines));
  lua_pushinteger(L, s->lines.total);
  lua_pushinteger(L, s->rows);
  return 3;
}

void ft_dataset_scan_types(lua_State *L) {
  static const luaL_Reg shape_methods[] = {{"skeleton", shape_skeleton}, {NULL, NULL}};
  static const luaL_Reg scan_methods[] = {{"next", scan_next},         {"accept", scan_accept},
                                          {"line", scan_line},         {"close", scan_close},
                                          {"position", scan_position}, {NULL, NULL}};
  ft_new_type(L, SHAPE, shape_methods, shape_close);
  ft_new_type(L, SCAN, scan_methods, scan_close);
}

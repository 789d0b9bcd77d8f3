#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sandbox_box.h"
#include "values.h"
#include "watchdog.h"

enum { HOOK_STEP = 10000 };

/* Slots of B's registry: the recipe's environment; the functions that M holds, by number, and the
 * last number at 0. */
static const char ENV, HANDLES;

struct ft_box *ft_box_of(lua_State *B) {
  return *(struct ft_box **)lua_getextraspace(B);
}

/* ---- limits ---- */

/* Stays armed at every instruction once it has fired, so that no pcall goes on. */
static void hook(lua_State *B, lua_Debug *ar) {
  struct ft_box *box = ft_box_of(B);
  if (box->cause == FT_BOX_NONE) {
    box->left -= HOOK_STEP;
    int late = ft_watchdog_expired();
    if (!late && box->left > 0) return;
    box->cause = late ? FT_BOX_TIME : FT_BOX_INSTRUCTIONS;
    lua_getinfo(B, "Sl", ar);
    snprintf(box->where, sizeof box->where, "%.180s:%d", ar->short_src, ar->currentline);
    lua_sethook(B, hook, LUA_MASKCOUNT, 1);
  }
  lua_pushliteral(B, "the recipe ran too long");
  lua_error(B);
}

/* ---- functions that M holds ---- */

void ft_box_push_function(lua_State *B, lua_Integer id) {
  lua_rawgetp(B, LUA_REGISTRYINDEX, &HANDLES);
  lua_rawgeti(B, -1, id);
  lua_replace(B, -2);
}

void ft_box_drop_function(lua_State *B, lua_Integer id) {
  lua_rawgetp(B, LUA_REGISTRYINDEX, &HANDLES);
  lua_pushnil(B);
  lua_rawseti(B, -2, id); /* the slot exists: nothing is allocated */
  lua_pop(B, 1);
}

/* A function in a result, while it is checked: becomes the next handle. Runs in B. */
static int keep_function(lua_State *B, int index, void *context) {
  (void)context;
  if (lua_type(B, index) != LUA_TFUNCTION) return -1;
  lua_rawgetp(B, LUA_REGISTRYINDEX, &HANDLES);
  lua_rawgeti(B, -1, 0);
  lua_Integer id = lua_tointeger(B, -1) + 1;
  lua_pop(B, 1);
  lua_pushvalue(B, index);
  lua_rawseti(B, -2, id);
  lua_pushinteger(B, id);
  lua_rawseti(B, -2, 0);
  lua_pop(B, 1);
  return 0;
}

/* ---- what runs in the protected call ---- */

/* Checks the value on top of B, so that nothing can be wrong with it later. */
static void check_result(lua_State *B, struct ft_box_request *r) {
  struct ft_values v = {.max_bytes = r->box->memory.limit, .check = keep_function};
  lua_rawgetp(B, LUA_REGISTRYINDEX, &HANDLES);
  lua_rawgeti(B, -1, 0);
  r->first_handle = lua_tointeger(B, -1) + 1;
  lua_pop(B, 2);
  int status = ft_values_check(&v, B, -1);
  if (status == 0) return;
  r->code = status == -2 ? "memory" : "result";
  luaL_error(B, "%s: the result%s%s%s %s", r->box->chunk, *v.path ? "'s field '" : "", v.path,
             *v.path ? "'" : "", v.fault);
}

int ft_box_run(lua_State *B) {
  struct ft_box_request *r = lua_touserdata(B, 1);
  lua_rawgetp(B, LUA_REGISTRYINDEX, &ENV);
  int status = ft_box_load(B, r->source, r->len, r->chunkname, -1);
  if (status == LUA_ERRSYNTAX) r->code = "syntax";
  if (status != LUA_OK) return lua_error(B);
  lua_call(B, 0, 1);
  check_result(B, r);
  return 1;
}

/* Copies one Function of M to B, which is the function itself. */
static void give_function(lua_State *M, int index, lua_State *B, void *context) {
  (void)context;
  const struct ft_box_function *f = lua_touserdata(M, index);
  ft_box_push_function(B, f->id);
}

int ft_box_call(lua_State *B) {
  struct ft_box_request *r = lua_touserdata(B, 1);
  struct ft_values v = {.copy = give_function};
  luaL_checkstack(B, r->count + 3, "arguments");
  ft_box_push_function(B, r->id);
  for (int i = 0; i < r->count; i++) ft_values_copy(&v, r->M, r->first + i, B);
  lua_call(B, r->count, 1);
  check_result(B, r);
  if (r->encoder && lua_istable(B, -1)) r->bytes = r->encoder->encode(r->encoder, B, -1, &r->len);
  return 1;
}

int ft_box_frame(lua_State *B, lua_Debug *ar) {
  struct ft_box *box = ft_box_of(B);
  for (int level = 1; lua_getstack(B, level, ar); level++) {
    lua_getinfo(B, "Sl", ar);
    if (*ar->what != 'C' && strcmp(ar->source, box->prelude) != 0) return 1;
  }
  return 0;
}

int ft_box_error(lua_State *B, const char *fmt, ...) {
  va_list args;
  lua_Debug ar;
  if (ft_box_frame(B, &ar))
    lua_pushfstring(B, "%s:%d: ", ar.short_src, ar.currentline);
  else
    lua_pushliteral(B, "");
  va_start(args, fmt);
  lua_pushvfstring(B, fmt, args);
  va_end(args);
  lua_concat(B, 2);
  return lua_error(B);
}

static int native_line(lua_State *B) {
  lua_Debug ar;
  if (!ft_box_frame(B, &ar)) return 0;
  lua_pushinteger(B, ar.currentline);
  return 1;
}

static int native_chunk(lua_State *B) {
  lua_Debug ar;
  if (!ft_box_frame(B, &ar)) return 0;
  lua_pushstring(B, *ar.source == '@' ? ar.source + 1 : ar.source);
  return 1;
}

static const luaL_Reg natives[] = {{"text", ft_box_text},
                                   {"line", native_line},
                                   {"chunk", native_chunk},
                                   {"truncate", ft_box_truncate},
                                   {NULL, NULL}};

/* Stands before each Lua function of the prelude. A recipe ends in `return ft.recipe {...}`, a tail
 * call, which would replace the recipe's frame and with it the line; a tail call of a C function
 * leaves it. */
static int forward(lua_State *B) {
  lua_pushvalue(B, lua_upvalueindex(1));
  lua_insert(B, 1);
  lua_call(B, lua_gettop(B) - 1, LUA_MULTRET);
  return lua_gettop(B);
}

/* Puts forward before the Lua functions of the table on top. */
static void keep_frames(lua_State *B) {
  lua_pushnil(B);
  while (lua_next(B, -2)) {
    if (!lua_isfunction(B, -1) || lua_iscfunction(B, -1)) {
      lua_pop(B, 1);
      continue;
    }
    lua_pushcclosure(B, forward, 1);
    lua_pushvalue(B, -2);
    lua_insert(B, -2);
    lua_rawset(B, -4); /* an existing key: the traversal goes on */
  }
}

/* The prelude has an environment of its own: what the recipe does to its globals does not reach it.
 */
int ft_box_prelude(lua_State *B) {
  struct ft_box_request *r = lua_touserdata(B, 1);
  ft_box_push_env(B);
  if (ft_box_load(B, r->source, r->len, r->chunkname, -1)) return lua_error(B);
  lua_rawgetp(B, LUA_REGISTRYINDEX, &ENV);
  luaL_newlib(B, natives);
  ft_box_push_include(B, -2);
  lua_setfield(B, -2, "include");
  lua_remove(B, -2);
  lua_call(B, 1, 1);
  if (!lua_istable(B, -1)) return luaL_error(B, "%s: a prelude returns a table", r->chunkname);
  keep_frames(B);
  lua_rawgetp(B, LUA_REGISTRYINDEX, &ENV);
  lua_insert(B, -2);
  lua_setfield(B, -2, "ft");
  return 0;
}

int ft_box_set_up(lua_State *B) {
  ft_box_push_env(B);
  lua_rawsetp(B, LUA_REGISTRYINDEX, &ENV);
  lua_createtable(B, 0, 1);
  lua_pushinteger(B, 0);
  lua_rawseti(B, -2, 0);
  lua_rawsetp(B, LUA_REGISTRYINDEX, &HANDLES);
  ft_box_seal_strings(B);
  return 0;
}

/* "global 'os'" in a message: says why it is nil. */
static void add_hint(lua_State *B) {
  static const char mark[] = "a nil value (global '";
  char name[32];
  const char *at = strstr(lua_tostring(B, -1), mark);
  if (!at) return;
  at += sizeof mark - 1;
  size_t n = strcspn(at, "'");
  if (n >= sizeof name) return;
  memcpy(name, at, n);
  name[n] = '\0';
  const char *why = ft_box_denied(name);
  if (why) lua_pushfstring(B, "%s: %s", lua_tostring(B, -1), why);
}

/* Message handler: whatever was raised becomes a text with a place. */
static int clear_text(lua_State *B) {
  if (lua_isstring(B, 1)) {
    lua_tostring(B, 1);
    add_hint(B);
    return 1;
  }
  lua_Debug ar;
  if (ft_box_frame(B, &ar))
    lua_pushfstring(B, "%s:%d: ", ar.short_src, ar.currentline);
  else
    lua_pushliteral(B, "");
  const char *what = luaL_typename(B, 1);
  if (lua_isnil(B, 1))
    lua_pushfstring(B, "%serror was called without a message", lua_tostring(B, -1));
  else
    lua_pushfstring(B, "%serror was called with a %s, not with a text", lua_tostring(B, -1), what);
  return 1;
}

/* Runs fn(request) in B; leaves [handler, result or error] on B's stack; returns a Lua status.
 * Never raises in M. */
int ft_box_enter(struct ft_box *box, lua_CFunction fn, struct ft_box_request *r) {
  lua_State *B = box->B;
  r->box = box;
  box->left = box->instructions;
  box->cause = FT_BOX_NONE;
  lua_settop(B, 0);
  lua_pushcfunction(B, clear_text);
  lua_pushcfunction(B, fn);
  lua_pushlightuserdata(B, r);
  lua_sethook(B, hook, LUA_MASKCOUNT,
              box->instructions < HOOK_STEP ? (int)box->instructions : HOOK_STEP);
  int status = LUA_ERRRUN;
  if (ft_watchdog_arm(B, box->seconds, hook, box->chunk) == 0) {
    box->running = 1;
    status = lua_pcall(B, 1, 1, 1);
    box->running = 0;
    ft_watchdog_disarm();
  }
  lua_sethook(B, NULL, 0, 0);
  return status;
}

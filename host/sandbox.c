#include "sandbox.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "native.h"
#include "sandbox_box.h"
#include "values.h"

/* Two states. M, the main one, is where these methods are called; B, the box's, runs the recipe. An
 * error in one must never jump over a protected call of the other, so: while a call of B is
 * running, M is only read, by functions that cannot raise; while B's results are read from M, B is
 * not running, and only functions that cannot raise are used on it. */

static const char BOX[] = "ft.sandbox.Box";
static const char FUNCTION[] = "ft.sandbox.Function";

/* A recipe holds little and makes much garbage, a row at a time: with Lua's own pause, the
 * collector would go through all that it holds every few rows. The limit of memory stays the limit.
 */
enum { GC_PAUSE = 1000 };

enum {
  DEFAULT_MEMORY = 64 << 20,
  DEFAULT_INSTRUCTIONS = 50000000,
  PRINT_MAX = 64 << 10,
  MESSAGE_MAX = 64 << 10
};

static struct ft_box *check_box(lua_State *M) {
  struct ft_box *box = luaL_checkudata(M, 1, BOX);
  luaL_argcheck(M, box->B, 1, "the sandbox is closed");
  return box;
}

static void set_label(char label[FT_BOX_LABEL], const char *text) {
  snprintf(label, FT_BOX_LABEL, "%.190s", text);
}

/* nil, message, code for a call of B that has failed. */
static int fail(lua_State *M, struct ft_box *box, int status, const struct ft_box_request *r) {
  if (box->cause == FT_BOX_INSTRUCTIONS)
    return ft_fail(M, "instructions",
                   "%s: stopped after %lld million instructions (a loop that does not end?)",
                   box->where, (long long)(box->instructions / 1000000));
  if (box->cause == FT_BOX_TIME)
    return ft_fail(M, "instructions", "%s: stopped after %.4g s (a loop that does not end?)",
                   box->where, box->seconds);
  if (status == LUA_ERRMEM)
    return ft_fail(M, "memory", "%s: needs more than the %zu MiB of memory that a recipe may use",
                   box->chunk, box->memory.limit >> 20);
  if (status == LUA_ERRERR)
    return ft_fail(M, "runtime", "%s: stack overflow (a function that calls itself without end?)",
                   box->chunk);
  size_t len = 0;
  const char *text = lua_tolstring(box->B, -1, &len);
  luaL_pushfail(M);
  if (len > MESSAGE_MAX)
    lua_pushfstring(M, "%s...", lua_pushlstring(M, text, MESSAGE_MAX));
  else if (text)
    lua_pushlstring(M, text, len);
  else
    lua_pushliteral(M, "unknown error");
  if (len > MESSAGE_MAX) lua_remove(M, -2);
  lua_pushstring(M, r->code ? r->code : "runtime");
  return 3;
}

struct taking {
  int box_index; /* of the box on M's stack */
  lua_Integer next;
};

/* Copies one function of B to M: a Function with the handle that check_result made. */
static void take_function(lua_State *B, int index, lua_State *M, void *context) {
  (void)B;
  (void)index;
  struct taking *t = context;
  struct ft_box_function *f = lua_newuserdatauv(M, sizeof *f, 1);
  *f = (struct ft_box_function){.box = lua_touserdata(M, t->box_index)};
  luaL_setmetatable(M, FUNCTION);
  lua_pushvalue(M, t->box_index);
  lua_setiuservalue(M, -2, 1);
  f->id = t->next++;
}

static int enter_and_take(lua_State *M, struct ft_box *box, lua_CFunction fn,
                          struct ft_box_request *r) {
  luaL_argcheck(M, !box->running, 1, "the sandbox is running");
  int status = ft_box_enter(box, fn, r);
  if (status != LUA_OK || box->cause != FT_BOX_NONE) {
    int n = fail(M, box, status, r);
    lua_settop(box->B, 0);
    return n;
  }
  if (r->encoder) lua_pushboolean(M, r->bytes != NULL);
  if (r->bytes) {
    lua_settop(box->B, 0);
    lua_pushlstring(M, r->bytes, r->len);
    return 2;
  }
  struct taking taking = {1, r->first_handle};
  struct ft_values v = {.copy = take_function, .context = &taking};
  ft_values_copy(&v, box->B, -1, M);
  lua_settop(box->B, 0);
  return r->encoder ? 2 : 1;
}

static int box_run(lua_State *M) {
  struct ft_box *box = check_box(M);
  struct ft_box_request r = {.chunkname = luaL_checkstring(M, 2)};
  r.source = luaL_checklstring(M, 3, &r.len);
  lua_settop(M, 3);
  set_label(box->chunk, r.chunkname + (*r.chunkname == '@'));
  if (r.len > FT_BOX_SOURCE_MAX)
    return ft_fail(M, "syntax", "%s: is larger than 4 MiB", box->chunk);
  return enter_and_take(M, box, ft_box_run, &r);
}

static int box_prelude(lua_State *M) {
  struct ft_box *box = check_box(M);
  struct ft_box_request r = {.chunkname = luaL_checkstring(M, 2)};
  r.source = luaL_checklstring(M, 3, &r.len);
  luaL_argcheck(M, !box->running, 1, "the sandbox is running");
  luaL_argcheck(M, strlen(r.chunkname) < FT_BOX_LABEL, 2, "too long");
  lua_settop(M, 3);
  snprintf(box->prelude, sizeof box->prelude, "%s", r.chunkname);
  set_label(box->chunk, r.chunkname + (*r.chunkname == '@'));
  int status = ft_box_enter(box, ft_box_prelude, &r);
  if (status == LUA_OK && box->cause == FT_BOX_NONE) return 0;
  fail(M, box, status, &r);
  lua_pop(M, 1);
  return lua_error(M);
}

/* An argument's function or userdata: only a live Function of the same box. Runs in M. */
static int check_function(lua_State *M, int index, void *context) {
  const struct ft_box_function *f = luaL_testudata(M, index, FUNCTION);
  return f && f->id && f->box == context ? 0 : -1;
}

/* Calls the function at `arg`, with what follows it. */
static int call(lua_State *M, int arg, struct ft_encoder *encoder) {
  struct ft_box *box = check_box(M);
  const struct ft_box_function *f = luaL_checkudata(M, arg, FUNCTION);
  luaL_argcheck(M, f->box == box && f->id, arg, "a function of another recipe");
  struct ft_box_request r = {.M = M, .id = f->id, .first = arg + 1, .count = lua_gettop(M) - arg};
  struct ft_values v = {.max_bytes = box->memory.limit, .check = check_function, .context = box};
  r.encoder = encoder;
  for (int i = r.first; i < r.first + r.count; i++)
    if (ft_values_check(&v, M, i))
      return luaL_argerror(M, i, lua_pushfstring(M, "%s%s%s", v.path, *v.path ? " " : "", v.fault));
  return enter_and_take(M, box, ft_box_call, &r);
}

static int box_call(lua_State *M) {
  return call(M, 2, NULL);
}

static int box_encode(lua_State *M) {
  return call(M, 3, luaL_checkudata(M, 2, FT_ENCODER));
}

static int box_files(lua_State *M) {
  struct ft_box *box = luaL_checkudata(M, 1, BOX);
  lua_newtable(M);
  int n = 0;
  for (const struct ft_box_file *f = box->files; f; f = f->next) {
    lua_createtable(M, 0, 2);
    lua_pushstring(M, f->path);
    lua_setfield(M, -2, "path");
    lua_pushlstring(M, f->bytes, f->len);
    lua_setfield(M, -2, "bytes");
    lua_rawseti(M, -2, ++n);
  }
  return 1;
}

static int box_usage(lua_State *M) {
  const struct ft_box *box = luaL_checkudata(M, 1, BOX);
  lua_createtable(M, 0, 3);
  lua_pushinteger(M, (lua_Integer)box->memory.used);
  lua_setfield(M, -2, "memory_bytes");
  lua_pushinteger(M, (lua_Integer)box->memory.peak);
  lua_setfield(M, -2, "peak_bytes");
  lua_pushinteger(M, (lua_Integer)box->memory.calls);
  lua_setfield(M, -2, "allocations");
  return 1;
}

static int box_close(lua_State *M) {
  struct ft_box *box = luaL_checkudata(M, 1, BOX);
  if (box->running) return luaL_argerror(M, 1, "the sandbox is running");
  if (box->B) lua_close(box->B);
  box->B = NULL;
  ft_box_free_files(box);
  free(box->root);
  box->root = NULL;
  return 0;
}

static struct ft_box_function *check_handle(lua_State *M) {
  struct ft_box_function *f = luaL_checkudata(M, 1, FUNCTION);
  luaL_argcheck(M, f->box->B, 1, "the function's sandbox is closed");
  return f;
}

static int function_where(lua_State *M) {
  lua_State *B = check_handle(M)->box->B;
  const struct ft_box_function *f = lua_touserdata(M, 1);
  lua_Debug ar;
  if (!lua_checkstack(B, 3)) return luaL_error(M, "not enough memory");
  ft_box_push_function(B, f->id);
  lua_getinfo(B, ">S", &ar);
  lua_pushstring(M, *ar.source == '@' || *ar.source == '=' ? ar.source + 1 : ar.source);
  lua_pushinteger(M, ar.linedefined);
  return 2;
}

/* Lets B collect the function. The box may have been closed in the same cycle, but its memory lives
 * as long as this user value. */
static int function_gc(lua_State *M) {
  struct ft_box_function *f = lua_touserdata(M, 1);
  lua_State *B = f->id ? f->box->B : NULL;
  if (B && lua_checkstack(B, 2)) ft_box_drop_function(B, f->id);
  f->id = 0;
  return 0;
}

static int sandbox_new(lua_State *M) {
  static const char *const keys[] = {"root",    "memory_bytes",    "instructions",
                                     "seconds", "fail_allocation", NULL};
  ft_check_keys(M, 1, keys);
  const char *root = ft_opt_string(M, 1, "root", NULL, NULL);
  double memory = ft_opt_number(M, 1, "memory_bytes", DEFAULT_MEMORY);
  double instructions = ft_opt_number(M, 1, "instructions", DEFAULT_INSTRUCTIONS);
  double seconds = ft_opt_number(M, 1, "seconds", 5);
  double fail_at = ft_opt_number(M, 1, "fail_allocation", 0);
  luaL_argcheck(M, root, 1, "option 'root' is required");
  luaL_argcheck(M, memory >= 1 << 16 && memory <= 1LL << 40, 1,
                "option 'memory_bytes': from 64 KiB to 1 TiB");
  luaL_argcheck(M, instructions >= 1 && instructions <= 1e15, 1,
                "option 'instructions': from 1 to 1e15");
  luaL_argcheck(M, seconds >= 0.01 && seconds <= 86400, 1, "option 'seconds': from 0.01 to 86400");
  luaL_argcheck(M, fail_at >= 0 && fail_at <= 1e15, 1, "option 'fail_allocation': from 0 to 1e15");
  struct ft_box *box = lua_newuserdatauv(M, sizeof *box, 0);
  *box = (struct ft_box){
      .instructions = (lua_Integer)instructions, .seconds = seconds, .print_left = PRINT_MAX};
  box->memory.limit = (size_t)memory;
  box->memory.fail_at = (size_t)fail_at;
  box->memory.fail_for = fail_at > 0 ? 2 : 0;
  box->files_end = &box->files;
  luaL_setmetatable(M, BOX);
  box->root = realpath(root, NULL);
  if (!box->root) return ft_fail_errno(M, root, errno);
  box->B = lua_newstate(ft_memory_alloc, &box->memory);
  if (!box->B) return ft_fail(M, "memory", "not enough memory for a sandbox");
  *(struct ft_box **)lua_getextraspace(box->B) = box;
  lua_gc(box->B, LUA_GCINC, GC_PAUSE, 0, 0);
  lua_pushcfunction(box->B, ft_box_set_up);
  if (lua_pcall(box->B, 0, 0, 0) != LUA_OK) {
    lua_close(box->B);
    box->B = NULL;
    return ft_fail(M, "memory", "not enough memory for a sandbox");
  }
  return 1;
}

static const luaL_Reg functions[] = {{"new", sandbox_new}, {NULL, NULL}};

static const luaL_Reg box_methods[] = {
    {"prelude", box_prelude}, {"run", box_run},     {"call", box_call},   {"encode", box_encode},
    {"files", box_files},     {"usage", box_usage}, {"close", box_close}, {NULL, NULL}};

static const luaL_Reg function_methods[] = {{"where", function_where}, {NULL, NULL}};

int luaopen_ft_sandbox(lua_State *M) {
  ft_new_type(M, BOX, box_methods, box_close);
  ft_new_type(M, FUNCTION, function_methods, function_gc);
  luaL_newlib(M, functions);
  return 1;
}

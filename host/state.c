#include "state.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "../bindings/bindings.h"
#include "input.h"
#include "log.h"
#include "modules.h"
#include "progress.h"
#include "sandbox.h"
#include "secrets.h"
#include "signals.h"
#include "task.h"

int luaopen_cjson(lua_State *L); /* of lua-cjson, which ships no header */

/* require "ft.version": "0.1.0" */
static int open_version(lua_State *L) {
  lua_pushliteral(L, FTRUN_VERSION);
  return 1;
}

/* source(name): the text of an embedded module; the recipe's box runs one that is not for this
 * state. */
static int embedded_source(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  for (const struct ft_module *m = ft_modules; m->name; m++) {
    if (strcmp(m->name, name) != 0) continue;
    lua_pushlstring(L, (const char *)m->source, m->len);
    return 1;
  }
  return 0;
}

static int luaopen_embedded(lua_State *L) {
  lua_pushcfunction(L, embedded_source);
  return 1;
}

static const luaL_Reg natives[] = {
    {"ft.dataset", luaopen_ft_dataset},
    {"ft.digest", luaopen_ft_digest},
    {"ft.embedded", luaopen_embedded},
    {"ft.fs", luaopen_ft_fs},
    {"ft.gzip", luaopen_ft_gzip},
    {"ft.http", luaopen_ft_http},
    {"ft.learner", luaopen_ft_learner},
    {"ft.log", luaopen_ft_log},
    {"ft.postgres", luaopen_ft_postgres},
    {"ft.progress", luaopen_ft_progress},
    {"ft.resample", luaopen_ft_resample},
    {"ft.sandbox", luaopen_ft_sandbox},
    {"ft.secrets", luaopen_ft_secrets},
    {"ft.scan", luaopen_ft_scan},
    {"ft.similar", luaopen_ft_similar},
    {"ft.server", luaopen_ft_server},
    {"ft.task", luaopen_ft_task},
    {"ft.time", luaopen_ft_time},
    {"ft.tokenizer", luaopen_ft_tokenizer},
    {"ft.version", open_version},
    {"ft.wandb", luaopen_ft_wandb},
    {"cjson", luaopen_cjson},
    {NULL, NULL},
};

void *ft_memory_alloc(void *memory, void *ptr, size_t osize, size_t nsize) {
  struct ft_memory *m = memory;
  if (!ptr) osize = 0; /* a type tag then */
  if (nsize == 0) {
    free(ptr);
    m->used -= osize;
    return NULL;
  }
  if (nsize > osize) {
    if (++m->calls >= m->fail_at && m->calls - m->fail_at < m->fail_for) return NULL;
    if (m->limit && m->used - osize + nsize > m->limit) return NULL;
  }
  void *p = realloc(ptr, nsize);
  if (!p) return NULL;
  m->used += nsize - osize;
  if (m->used > m->peak) m->peak = m->used;
  return p;
}

int ft_traceback(lua_State *L) {
  if (lua_type(L, 1) == LUA_TSTRING) {
    luaL_traceback(L, L, lua_tostring(L, 1), 1);
  } else if (!luaL_getmetafield(L, 1, "__tostring")) {
    lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
    luaL_traceback(L, L, lua_tostring(L, -1), 1);
  } else {
    lua_settop(L, 1);
  }
  return 1;
}

/* ---- modules ---- */

/* package.searchers[2]: sources out of the folders in FTRUN_LUA (separated by ":"), for work on
 * ftrun itself. */
static int search_folder(lua_State *L) {
  const char *roots = getenv("FTRUN_LUA");
  luaL_checkstring(L, 1);
  if (!roots || !*roots) return 0;
  lua_getfield(L, lua_upvalueindex(1), "searchpath");
  lua_pushvalue(L, 1);
  luaL_gsub(L, roots, ":", "/?.lua;");
  lua_pushfstring(L, "%s/?.lua;", lua_tostring(L, -1));
  luaL_gsub(L, roots, ":", "/?/init.lua;");
  lua_pushfstring(L, "%s%s/?/init.lua", lua_tostring(L, -2), lua_tostring(L, -1));
  lua_replace(L, 4);
  lua_settop(L, 4);
  lua_call(L, 2, 2);
  if (lua_isnil(L, -2)) return 1;
  const char *file = lua_tostring(L, -2);
  if (luaL_loadfilex(L, file, "t")) return luaL_error(L, "%s", lua_tostring(L, -1));
  lua_pushstring(L, file);
  return 2;
}

static int search_embedded(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  for (const struct ft_module *m = ft_modules; m->name; m++) {
    if (strcmp(m->name, name) != 0) continue;
    lua_pushfstring(L, "@%s", m->file);
    if (luaL_loadbufferx(L, (const char *)m->source, m->len, lua_tostring(L, -1), "t"))
      return luaL_error(L, "%s", lua_tostring(L, -1));
    lua_pushstring(L, m->file);
    return 2;
  }
  lua_pushfstring(L, "no module '%s' in ftrun", name);
  return 1;
}

static int undeclared(lua_State *L) {
  return luaL_error(L, "global '%s' is not declared", luaL_tolstring(L, 2, NULL));
}

/* Only preload, FTRUN_LUA and the embedded sources: never a file that happens to lie in the current
 * folder. */
static void set_up_modules(lua_State *L) {
  lua_getglobal(L, "package");
  int package = lua_gettop(L);
  lua_getfield(L, package, "preload");
  luaL_setfuncs(L, natives, 0);
  lua_pop(L, 1);
  lua_pushliteral(L, "");
  lua_setfield(L, package, "path");
  lua_pushliteral(L, "");
  lua_setfield(L, package, "cpath");
  lua_getfield(L, package, "searchers");
  lua_pushvalue(L, package);
  lua_pushcclosure(L, search_folder, 1);
  lua_rawseti(L, -2, 2);
  lua_pushcfunction(L, search_embedded);
  lua_rawseti(L, -2, 3);
  lua_pushnil(L);
  lua_rawseti(L, -2, 4);
  lua_pop(L, 2);
}

static void forbid_new_globals(lua_State *L) {
  lua_pushglobaltable(L);
  lua_newtable(L);
  lua_pushcfunction(L, undeclared);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, undeclared);
  lua_setfield(L, -2, "__newindex");
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}

/* Lua source of the main task: requires the module inside the task, so that it too may wait. */
static const char start[] = "local module, args = ...; "
                            "return require(module)(table.unpack(args, 1, args.n))";

struct arguments {
  const char *module;
  int argc;
  char **argv;
};

static int run_protected(lua_State *L) {
  const struct arguments *a = lua_touserdata(L, 1);
  luaL_openlibs(L);
  set_up_modules(L);
  forbid_new_globals(L);
  luaopen_ft_task(L);
  lua_settop(L, 0);
  if (luaL_loadstring(L, start)) return lua_error(L);
  lua_pushstring(L, a->module);
  lua_createtable(L, a->argc, 1);
  for (int i = 0; i < a->argc; i++) {
    lua_pushstring(L, a->argv[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushinteger(L, a->argc);
  lua_setfield(L, -2, "n");
  if (ft_tasks_main(L, 2) != LUA_OK) return lua_error(L);
  lua_pushinteger(L, luaL_optinteger(L, -1, 0));
  return 1;
}

int ft_run_with(struct ft_memory *memory, const char *module, int argc, char **argv) {
  int result = 1;
  struct arguments a = {module, argc, argv};
  struct ft_loop *loop = ft_loop_new();
  lua_State *L = loop && !ft_signals_start(loop) ? lua_newstate(ft_memory_alloc, memory) : NULL;
  struct ft_tasks *tasks = L ? ft_tasks_new(loop, L) : NULL;
  if (tasks) {
    lua_pushcfunction(L, ft_traceback);
    lua_pushcfunction(L, run_protected);
    lua_pushlightuserdata(L, &a);
    if (lua_pcall(L, 1, 1, 1) == LUA_OK) {
      result = (int)lua_tointeger(L, -1);
    } else {
      const char *text = lua_tostring(L, -1);
      ft_log(FT_LOG_ERROR, "internal error, please report it: %s", text ? text : "(error object)");
    }
  } else {
    ft_log(FT_LOG_ERROR, "not enough memory or file descriptors to start");
  }
  if (L) lua_close(L);
  ft_tasks_free(tasks);
  ft_signals_stop();
  ft_input_free();
  ft_loop_free(loop);
  ft_secrets_free();
  return result;
}

int ft_run(const char *module, int argc, char **argv) {
  struct ft_memory memory = {0};
  return ft_run_with(&memory, module, argc, argv);
}

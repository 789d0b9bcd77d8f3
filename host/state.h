/* The main lua_State: an allocator that counts, native modules in package.preload, embedded Lua
 * sources behind require, globals that must be declared. Recipes never run here (see sandbox.h). */
#ifndef FT_STATE_H
#define FT_STATE_H

#include <lua.h>
#include <stddef.h>

/* Allocation account of one Lua state. */
struct ft_memory {
  size_t used, peak; /* bytes */
  size_t limit;      /* bytes; 0: none. Past it the allocator answers NULL, Lua raises LUA_ERRMEM */
  size_t calls;      /* allocations asked for so far */
  /* For torture tests: the allocations from number fail_at on fail, fail_for of them; 0: none. One
   * failure is harmless, Lua collects garbage and asks again; two are an LUA_ERRMEM. */
  size_t fail_at, fail_for;
};

/* lua_Alloc over a struct ft_memory. */
void *ft_memory_alloc(void *memory, void *ptr, size_t osize, size_t nsize);

/* Message handler for lua_pcall: turns the error into a string with a traceback; leaves error
 * objects (tables with a metatable) as they are. */
int ft_traceback(lua_State *L);

/* Runs Lua module `module` (it must return a function) as the main task: module(argv...). The
 * function's integer result is the return value. An error that reaches this point is a bug in
 * ftrun: it is logged with its traceback, and 1 returned. */
int ft_run(const char *module, int argc, char **argv);

/* The same with a caller's account, to inspect or torture. */
int ft_run_with(struct ft_memory *memory, const char *module, int argc, char **argv);

#endif

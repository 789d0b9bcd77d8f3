#include "program.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>

#include "log.h"

static lua_State *start(const char *module, lua_CFunction open, const char *program) {
  ft_log_set_level(FT_LOG_ERROR);
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  luaL_requiref(L, module, open, 0);
  if (luaL_loadstring(L, program)) abort();
  return L;
}

int fuzz_program(const char *module, lua_CFunction open, const char *program, const uint8_t *data,
                 size_t size) {
  static lua_State *L;
  if (!L) L = start(module, open, program);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 1);
  lua_pushlstring(L, (const char *)data, size);
  if (lua_pcall(L, 2, 0, 0)) {
    ft_log(FT_LOG_ERROR, "%s", lua_tostring(L, -1));
    abort();
  }
  return 0;
}

/* The state above would count as a leak. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
  return "detect_leaks=0";
}

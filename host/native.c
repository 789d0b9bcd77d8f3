#include "native.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int ft_fail(lua_State *L, const char *code, const char *fmt, ...) {
  char message[1024]; /* foreign texts may be long; what is cut here was never one clear line */
  va_list args;
  va_start(args, fmt);
  vsnprintf(message, sizeof message, fmt, args);
  va_end(args);
  luaL_pushfail(L);
  lua_pushstring(L, message);
  lua_pushstring(L, code);
  return 3;
}

static const char *errno_code(int errnum) {
  switch (errnum) {
  case ENOENT:
  case ENOTDIR:
    return "not_found";
  case EEXIST:
    return "exists";
  case EACCES:
  case EPERM:
  case EROFS:
    return "denied";
  case ENOSPC:
  case EDQUOT:
    return "disk_full";
  case EWOULDBLOCK:
  case EBUSY:
    return "busy";
  default:
    return "io";
  }
}

/* What people see most often, in plain words. */
static const char *errno_text(int errnum) {
  switch (errnum) {
  case ENOENT:
    return "there is no such file or folder";
  case EACCES:
  case EPERM:
    return "no permission";
  case EROFS:
    return "the file system is read-only";
  case EISDIR:
    return "is a folder, not a file";
  case ENOTDIR:
    return "a part of the path is a file, not a folder";
  case ENOSPC:
    return "the disk is full";
  case EDQUOT:
    return "the quota of the disk is used up";
  case EFBIG:
    return "files of this size are not allowed here (ulimit -f shows the limit)";
  case EOVERFLOW:
    return "too large to be read";
  case EPIPE:
    return "its reader has closed it";
  default:
    return strerror(errnum);
  }
}

int ft_fail_errno(lua_State *L, const char *subject, int errnum) {
  return ft_fail(L, errno_code(errnum), "%s: %s", subject, errno_text(errnum));
}

void ft_check_keys(lua_State *L, int arg, const char *const *allowed) {
  luaL_checktype(L, arg, LUA_TTABLE);
  lua_pushnil(L);
  while (lua_next(L, arg)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING) luaL_argerror(L, arg, "option names must be strings");
    const char *key = lua_tostring(L, -1);
    size_t i = 0;
    while (allowed[i] && strcmp(allowed[i], key) != 0) i++;
    if (!allowed[i]) luaL_argerror(L, arg, lua_pushfstring(L, "unknown option '%s'", key));
  }
}

/* Pushes the field and checks its type; false when absent, with nothing pushed. */
static bool push_field(lua_State *L, int arg, const char *key, int type) {
  lua_pushstring(L, key);
  int got = lua_rawget(L, arg);
  if (got == LUA_TNIL) {
    lua_pop(L, 1);
    return false;
  }
  if (got != type)
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "option '%s': expected %s, got %s", key, lua_typename(L, type),
                                  lua_typename(L, got)));
  return true;
}

const char *ft_opt_string(lua_State *L, int arg, const char *key, const char *dflt, size_t *len) {
  if (!push_field(L, arg, key, LUA_TSTRING)) {
    if (len) *len = dflt ? strlen(dflt) : 0;
    return dflt;
  }
  const char *s = lua_tolstring(L, -1, len);
  lua_pop(L, 1);
  return s;
}

double ft_opt_number(lua_State *L, int arg, const char *key, double dflt) {
  if (!push_field(L, arg, key, LUA_TNUMBER)) return dflt;
  double n = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return n;
}

bool ft_opt_boolean(lua_State *L, int arg, const char *key, bool dflt) {
  if (!push_field(L, arg, key, LUA_TBOOLEAN)) return dflt;
  bool b = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return b;
}

void ft_new_type(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction close) {
  luaL_newmetatable(L, name);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, close);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, close);
  lua_setfield(L, -2, "__close");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

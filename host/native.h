/* What all native modules share: how they fail, read options and make types.
 *
 * Conventions. The caller is wrong: raise, by luaL_arg*. The world is wrong: `nil, message, code`
 * by ft_fail, where code is a short stable word ("timeout", "not_found"). Durations are seconds,
 * sizes are bytes. */
#ifndef FT_NATIVE_H
#define FT_NATIVE_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

/* Pushes nil, the formatted message and code; returns 3. [-0, +3, m] */
int ft_fail(lua_State *L, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for a failed system call: the message is "subject: strerror(errnum)", the code one of
 * not_found, exists, denied, disk_full, busy, io. */
int ft_fail_errno(lua_State *L, const char *subject, int errnum);

/* Raises when the table at arg has a key that is not in the NULL-ended list. [-0, +0, v] */
void ft_check_keys(lua_State *L, int arg, const char *const *allowed);

/* Reads one named field of the options table at arg; dflt when absent; raises on a wrong type. [-0,
 * +0, v] A string stays valid while the table holds it. */
const char *ft_opt_string(lua_State *L, int arg, const char *key, const char *dflt, size_t *len);
double ft_opt_number(lua_State *L, int arg, const char *key, double dflt);
bool ft_opt_boolean(lua_State *L, int arg, const char *key, bool dflt);

/* Registers a userdata type: metatable `name` with the methods behind __index, __gc and __close set
 * to `close`, and __metatable hidden. [-0, +0, m] */
void ft_new_type(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction close);

#endif

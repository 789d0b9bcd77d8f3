/* Settings and secrets out of the environment and .env files. Values of secrets never enter Lua;
 * log.c masks them. */
#ifndef FT_SECRETS_H
#define FT_SECRETS_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* The value, or NULL when it is not set or empty. Borrowed until the process ends or .env is read
 * again. */
const char *ft_secret(const char *name);

/* Whether a name is that of a secret, and whether this value of it (NULL: any) is one. */
bool ft_secret_name(const char *name);
bool ft_secret_value(const char *name, const char *value);

/* Replaces every registered secret in text by "***", in place (a mask is never longer than what it
 * hides); returns the new length. */
size_t ft_secrets_mask(char *text, size_t len);

/* Registers a value to be masked that did not come from a setting (a key that a server sent).
 * Values under 4 bytes are ignored. */
void ft_secrets_hide(const char *value, size_t len);

/* Keeps a secret that came out of another file, to be found under this name, which must be one of a
 * secret (it holds PASSWORD, say) and of no variable. 0, or -1 without memory. */
int ft_secrets_keep(const char *name, const char *value, const char *origin);

/* Forgets everything, wiping the memory. */
void ft_secrets_free(void);

int luaopen_ft_secrets(lua_State *L);

#endif

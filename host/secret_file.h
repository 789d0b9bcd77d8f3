/* Files that hold settings and secrets: read whole, and for Lua (lua/ftrun/meta/secrets.lua) one
 * setting of a file told, taken as a secret or changed, and passwords of a netrc file. */
#ifndef FT_SECRET_FILE_H
#define FT_SECRET_FILE_H

#include <lua.h>

struct ft_buf;

enum { FT_SECRET_FILE_BYTES = 1024 * 1024 }; /* the largest that is read */

/* Reads a whole file into a buffer that is empty and has this limit. 0, or an errno; EOVERFLOW past
 * the limit, ENOLINK for a link that leads nowhere, EILSEQ for another encoding. */
int ft_secret_file_read(const char *path, struct ft_buf *out);

/* Pushes nil, message and code of what ft_secret_file_read returned. [-0, +3, m] */
int ft_secret_file_fail(lua_State *L, const char *path, int errnum);

int ft_secret_file_setting(lua_State *L); /* read_setting(path, name) */
int ft_secret_file_adopt(lua_State *L);   /* adopt(path, name, as) */
int ft_secret_file_change(lua_State *L);  /* write_setting(path, name, raw) */
int ft_secret_file_netrc(lua_State *L);   /* netrc(path, machine) */

#endif

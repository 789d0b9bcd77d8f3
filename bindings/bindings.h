/* The list of native modules in this folder. Each is one foreign library for Lua; none knows
 * another, none decides. */
#ifndef FT_BINDINGS_H
#define FT_BINDINGS_H

#include <lua.h>

int luaopen_ft_dataset(lua_State *L);   /* dataset.c */
int luaopen_ft_digest(lua_State *L);    /* digest.c */
int luaopen_ft_fs(lua_State *L);        /* fs.c */
int luaopen_ft_gzip(lua_State *L);      /* gzip.c */
int luaopen_ft_http(lua_State *L);      /* http.c */
int luaopen_ft_learner(lua_State *L);   /* learner.c */
int luaopen_ft_postgres(lua_State *L);  /* postgres.c */
int luaopen_ft_resample(lua_State *L);  /* resample.c */
int luaopen_ft_scan(lua_State *L);      /* scan.c */
int luaopen_ft_server(lua_State *L);    /* server.c */
int luaopen_ft_similar(lua_State *L);   /* similar.c */
int luaopen_ft_time(lua_State *L);      /* time.c */
int luaopen_ft_tokenizer(lua_State *L); /* tokenizer.c */
int luaopen_ft_wandb(lua_State *L);     /* wandb.c */

#endif

#include <lauxlib.h>
#include <string.h>

#include "../host/file.h"
#include "../host/native.h"
#include "dataset.h"
#include "spool.h"

static const char WRITER[] = "ft.dataset.Writer";

/* The path, for messages, is user value 1. */
struct writer {
  struct ft_draft draft;
  struct ft_spool spool;
  lua_Integer lines, bytes;
  int errnum; /* of the first failure; from then on nothing is written */
};

static void close_writer(struct writer *w) {
  ft_spool_close(&w->spool);
  ft_draft_drop(&w->draft);
}

static int writer_close(lua_State *L) {
  close_writer(luaL_checkudata(L, 1, WRITER));
  return 0;
}

static int fail(lua_State *L, const struct writer *w) {
  lua_getiuservalue(L, 1, 1);
  return ft_fail_errno(L, lua_tostring(L, -1), w->errnum);
}

int ft_dataset_writer(lua_State *L) {
  size_t len;
  const char *path = luaL_checklstring(L, 1, &len);
  luaL_argcheck(L, strlen(path) == len, 1, "a path holds no NUL byte");
  struct writer *w = lua_newuserdatauv(L, sizeof *w, 1);
  memset(w, 0, sizeof *w);
  w->draft.fd = -1;
  luaL_setmetatable(L, WRITER);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  int errnum = ft_draft_open(&w->draft, path, 0644);
  if (errnum) return ft_fail_errno(L, path, errnum);
  if (ft_spool_open(&w->spool, w->draft.fd) == 0) return 1;
  close_writer(w);
  return luaL_error(L, "not enough memory");
}

static struct writer *check_writer(lua_State *L) {
  struct writer *w = luaL_checkudata(L, 1, WRITER);
  luaL_argcheck(L, w->spool.blocks || w->errnum, 1, "the writer is closed");
  return w;
}

static int writer_add(lua_State *L) {
  struct writer *w = check_writer(L);
  size_t len;
  const char *json = luaL_checklstring(L, 2, &len);
  luaL_argcheck(L, !memchr(json, '\n', len), 2, "one line without line break");
  if (!w->errnum) {
    w->errnum = ft_spool_add(&w->spool, json, len);
    if (!w->errnum) w->errnum = ft_spool_add(&w->spool, "\n", 1);
    if (w->errnum) close_writer(w); /* a dataset is whole or not there */
  }
  if (w->errnum) return fail(L, w);
  w->lines++;
  w->bytes += (lua_Integer)len + 1;
  lua_pushboolean(L, 1);
  return 1;
}

static int writer_commit(lua_State *L) {
  struct writer *w = check_writer(L);
  unsigned char sum[EVP_MAX_MD_SIZE];
  unsigned n = 0;
  if (!w->errnum) w->errnum = ft_spool_end(&w->spool, sum, &n);
  if (!w->errnum) w->errnum = ft_draft_commit(&w->draft);
  close_writer(w);
  if (w->errnum) return fail(L, w);
  char hex[2 * EVP_MAX_MD_SIZE];
  for (unsigned i = 0; i < n; i++) {
    hex[2 * i] = "0123456789abcdef"[sum[i] >> 4];
    hex[2 * i + 1] = "0123456789abcdef"[sum[i] & 15];
  }
  lua_createtable(L, 0, 3);
  lua_pushinteger(L, w->lines);
  lua_setfield(L, -2, "lines");
  lua_pushinteger(L, w->bytes);
  lua_setfield(L, -2, "bytes");
  lua_pushlstring(L, hex, 2 * n);
  lua_setfield(L, -2, "sha256");
  return 1;
}

void ft_dataset_writer_types(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"add", writer_add}, {"commit", writer_commit}, {"close", writer_close}, {NULL, NULL}};
  ft_new_type(L, WRITER, methods, writer_close);
}

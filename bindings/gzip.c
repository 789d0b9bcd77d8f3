/* Gzip files as streams of bytes: one is written beside its target and takes its place when it is
 * whole. */
#include "bindings.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "../host/file.h"
#include "../host/native.h"

enum { STEP = 256 * 1024, READ_MAX = 16 << 20 };

static const char WRITER[] = "ft.gzip.Writer";
static const char READER[] = "ft.gzip.Reader";

static const char *check_path(lua_State *L, int arg) {
  size_t len;
  const char *path = luaL_checklstring(L, arg, &len);
  luaL_argcheck(L, strlen(path) == len, arg, "a path holds no NUL byte");
  return path;
}

/* What zlib says of a file that path names. */
static int fail(lua_State *L, gzFile z, const char *path) {
  int status, errnum = errno;
  const char *message = gzerror(z, &status);
  if (status == Z_ERRNO) return ft_fail_errno(L, path, errnum);
  if (status == Z_MEM_ERROR) return luaL_error(L, "not enough memory");
  if (status == Z_BUF_ERROR) return ft_fail(L, "gzip", "%s: the file is cut off", path);
  return ft_fail(L, "gzip", "%s: the file is damaged (%s)", path, message);
}

/* ---- writer ---- */

struct writer {
  gzFile z; /* NULL: closed */
  struct ft_draft draft;
};

static int writer_close(lua_State *L) {
  struct writer *w = luaL_checkudata(L, 1, WRITER);
  if (w->z) gzclose(w->z);
  w->z = NULL;
  ft_draft_drop(&w->draft);
  return 0;
}

static struct writer *check_writer(lua_State *L) {
  struct writer *w = luaL_checkudata(L, 1, WRITER);
  luaL_argcheck(L, w->z, 1, "the writer is closed");
  return w;
}

/* The stream gets a descriptor of its own: closing it must leave the draft's for fsync. */
static int gzip_writer(lua_State *L) {
  const char *path = check_path(L, 1);
  struct writer *w = lua_newuserdatauv(L, sizeof *w, 0);
  *w = (struct writer){.draft = FT_DRAFT_INIT};
  luaL_setmetatable(L, WRITER);
  int errnum = ft_draft_open(&w->draft, path, 0644);
  if (errnum) return ft_fail_errno(L, path, errnum);
  int fd = fcntl(w->draft.fd, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return ft_fail_errno(L, path, errno);
  w->z = gzdopen(fd, "wb");
  if (w->z) return 1;
  close(fd);
  return luaL_error(L, "not enough memory");
}

static int writer_add(lua_State *L) {
  struct writer *w = check_writer(L);
  size_t len;
  const char *bytes = luaL_checklstring(L, 2, &len);
  for (size_t step; len > 0; bytes += step, len -= step) {
    step = len < STEP ? len : STEP;
    if (gzwrite(w->z, bytes, (unsigned)step) <= 0) return fail(L, w->z, w->draft.path);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* Copies exactly `size` bytes of fd. 0; an errno; or -1 when zlib could not write them, -2 when
 * there are not so many. */
static int copy_exactly(gzFile z, int fd, uint64_t size) {
  static char block[STEP]; /* one thread uses it, between two Lua calls */
  while (size > 0) {
    size_t want = size < STEP ? (size_t)size : STEP;
    ssize_t got = ft_read_full(fd, block, want);
    if (got < 0) return (int)-got;
    if ((size_t)got < want) return -2;
    if (gzwrite(z, block, (unsigned)want) <= 0) return -1;
    size -= want;
  }
  return 0;
}

static int writer_copy(lua_State *L) {
  struct writer *w = check_writer(L);
  const char *path = check_path(L, 2);
  lua_Integer size = luaL_checkinteger(L, 3);
  luaL_argcheck(L, size >= 0, 3, "a size in bytes");
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ft_fail_errno(L, path, errno);
  int status = copy_exactly(w->z, fd, (uint64_t)size);
  close(fd);
  if (status == -1) return fail(L, w->z, w->draft.path);
  if (status == -2) return ft_fail(L, "changed", "%s: became shorter while it was read", path);
  if (status) return ft_fail_errno(L, path, status);
  lua_pushboolean(L, 1);
  return 1;
}

static int writer_commit(lua_State *L) {
  struct writer *w = check_writer(L);
  errno = 0;
  int status = gzclose(w->z), errnum = status == Z_ERRNO && errno ? errno : EIO;
  w->z = NULL;
  if (status == Z_OK) errnum = ft_draft_commit(&w->draft);
  if (errnum) {
    ft_fail_errno(L, w->draft.path, errnum);
    ft_draft_drop(&w->draft);
    return 3;
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- reader ---- */

struct reader {
  gzFile z; /* NULL: closed */
};

static int reader_close(lua_State *L) {
  struct reader *r = luaL_checkudata(L, 1, READER);
  if (r->z) gzclose(r->z);
  r->z = NULL;
  return 0;
}

static int gzip_reader(lua_State *L) {
  const char *path = check_path(L, 1);
  struct reader *r = lua_newuserdatauv(L, sizeof *r, 1);
  r->z = NULL;
  luaL_setmetatable(L, READER);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ft_fail_errno(L, path, errno);
  unsigned char magic[2];
  ssize_t n = ft_read_full(fd, magic, sizeof magic);
  if (n < 0 || lseek(fd, 0, SEEK_SET) < 0) {
    int errnum = n < 0 ? (int)-n : errno;
    close(fd);
    return ft_fail_errno(L, path, errnum);
  }
  if (n < 2 || memcmp(magic, "\x1F\x8B", 2) != 0) { /* zlib would hand it on as it is */
    close(fd);
    return ft_fail(L, "gzip", "%s: is no gzip file", path);
  }
  r->z = gzdopen(fd, "rb");
  if (r->z) return 1;
  close(fd);
  return luaL_error(L, "not enough memory");
}

static int reader_read(lua_State *L) {
  struct reader *r = luaL_checkudata(L, 1, READER);
  luaL_argcheck(L, r->z, 1, "the reader is closed");
  lua_Integer most = luaL_checkinteger(L, 2);
  luaL_argcheck(L, most >= 1 && most <= READ_MAX, 2, "1 byte to 16 MiB");
  lua_settop(L, 2);
  lua_getiuservalue(L, 1, 1);
  const char *path = lua_tostring(L, -1);
  luaL_Buffer b;
  char *to = luaL_buffinitsize(L, &b, (size_t)most);
  int got = gzread(r->z, to, (unsigned)most), status;
  if (got < 0) return fail(L, r->z, path);
  gzerror(r->z, &status);
  if (got < most && status == Z_BUF_ERROR) return fail(L, r->z, path); /* it ends in the middle */
  if (got == 0) return 0;
  luaL_pushresultsize(&b, (size_t)got);
  return 1;
}

static const luaL_Reg functions[] = {
    {"writer", gzip_writer}, {"reader", gzip_reader}, {NULL, NULL}};
static const luaL_Reg writer_methods[] = {{"add", writer_add},
                                          {"copy", writer_copy},
                                          {"commit", writer_commit},
                                          {"close", writer_close},
                                          {NULL, NULL}};
static const luaL_Reg reader_methods[] = {
    {"read", reader_read}, {"close", reader_close}, {NULL, NULL}};

int luaopen_ft_gzip(lua_State *L) {
  ft_new_type(L, WRITER, writer_methods, writer_close);
  ft_new_type(L, READER, reader_methods, reader_close);
  luaL_newlib(L, functions);
  return 1;
}

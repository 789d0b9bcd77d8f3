#include "bindings.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../host/file.h"
#include "../host/native.h"

enum {
  HOLDER_BYTES = 256,
  TREE_DEPTH = 200,
  READ_STEP = 65536,
  COPY_STEP = 256 * 1024,
  NAME_TRIES = 100
};

static const char FILE_TYPE[] = "ft.fs.File";
static const char NAMES[] = "ft.fs.Names";
static const char APPENDER[] = "ft.fs.Appender";
static const char LOCK[] = "ft.fs.Lock";

static const char *check_path(lua_State *L, int arg) {
  size_t len;
  const char *path = luaL_checklstring(L, arg, &len);
  luaL_argcheck(L, strlen(path) == len, arg, "a path holds no NUL byte");
  return path;
}

static int fail(lua_State *L, const char *path, int errnum) {
  if (errnum == ENOTEMPTY) return ft_fail(L, "exists", "%s: %s", path, strerror(errnum));
  return ft_fail_errno(L, path, errnum);
}

static int done(lua_State *L, const char *path, int errnum) {
  if (errnum) return fail(L, path, errnum);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- open descriptors: file, appender, lock ---- */

struct file {
  int fd;     /* -1: closed */
  int broken; /* appender: a failed write could not be cut off */
  char *path; /* appender: for messages; owned */
};

static struct file *new_file(lua_State *L, const char *type) {
  struct file *f = lua_newuserdatauv(L, sizeof *f, 0);
  *f = (struct file){.fd = -1};
  luaL_setmetatable(L, type);
  return f;
}

static void close_file(struct file *f) {
  if (f->fd >= 0) close(f->fd);
  f->fd = -1;
  free(f->path);
  f->path = NULL;
}

static int file_close(lua_State *L) {
  close_file(luaL_checkudata(L, 1, FILE_TYPE));
  return 0;
}

/* ---- whole files ---- */

static int fs_read(lua_State *L) {
  const char *path = check_path(L, 1);
  lua_Integer max = luaL_optinteger(L, 2, 64 << 20);
  luaL_argcheck(L, max >= 0, 2, "a size in bytes");
  lua_settop(L, 2);
  struct file *f = new_file(L, FILE_TYPE);
  lua_toclose(L, -1);
  f->fd = open(path, O_RDONLY | O_CLOEXEC);
  struct stat st;
  if (f->fd < 0 || fstat(f->fd, &st)) return fail(L, path, errno);
  size_t step = st.st_size > 0 && st.st_size <= max ? (size_t)st.st_size + 1 : READ_STEP;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  size_t total = 0;
  for (;;) {
    char *p = luaL_prepbuffsize(&b, step);
    ssize_t n = ft_read_full(f->fd, p, step);
    if (n < 0) return fail(L, path, (int)-n);
    luaL_addsize(&b, (size_t)n);
    total += (size_t)n;
    if (total > (uint64_t)max)
      return ft_fail(L, "too_large", "%s: more than %lld bytes", path, (long long)max);
    if ((size_t)n < step) break;
    step = READ_STEP;
  }
  luaL_pushresult(&b);
  return 1;
}

static int fs_write(lua_State *L) {
  const char *path = check_path(L, 1);
  size_t len;
  const char *bytes = luaL_checklstring(L, 2, &len);
  lua_Integer mode = luaL_optinteger(L, 3, 0644);
  luaL_argcheck(L, mode >= 0 && mode <= 0777, 3, "permissions 0 to 0777");
  struct ft_draft d;
  int errnum = ft_draft_open(&d, path, (mode_t)mode);
  if (!errnum) errnum = ft_write_all(d.fd, bytes, len);
  if (!errnum) errnum = ft_draft_commit(&d);
  ft_draft_drop(&d);
  return done(L, path, errnum);
}

/* ---- appender ---- */

static int fs_append(lua_State *L) {
  const char *path = check_path(L, 1);
  struct file *f = new_file(L, APPENDER);
  f->path = strdup(path);
  if (!f->path) return luaL_error(L, "not enough memory");
  f->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  struct stat st;
  int errnum = f->fd < 0 || fstat(f->fd, &st) ? errno : 0;
  if (!errnum && st.st_size == 0) errnum = ft_sync_folder_of(path); /* the name too must survive */
  if (errnum) {
    close_file(f);
    return fail(L, path, errnum);
  }
  return 1;
}

static struct file *check_appender(lua_State *L) {
  struct file *f = luaL_checkudata(L, 1, APPENDER);
  luaL_argcheck(L, f->fd >= 0, 1, "the appender is closed");
  return f;
}

static int appender_write(lua_State *L) {
  struct file *f = check_appender(L);
  size_t len;
  const char *bytes = luaL_checklstring(L, 2, &len);
  int sync = lua_toboolean(L, 3);
  struct stat st;
  if (f->broken)
    return ft_fail(L, "io", "%s: an earlier failed write could not be undone", f->path);
  if (fstat(f->fd, &st)) return fail(L, f->path, errno);
  int errnum = ft_write_all(f->fd, bytes, len);
  if (!errnum && sync && fsync(f->fd)) errnum = errno;
  if (errnum && S_ISREG(st.st_mode) && ftruncate(f->fd, st.st_size)) f->broken = 1;
  return done(L, f->path, errnum);
}

/* Copies all of path behind what fd has. 0, or an errno. */
static int copy_all(int fd, const char *path) {
  static char block[COPY_STEP]; /* one thread uses it, between two Lua calls */
  int from = open(path, O_RDONLY | O_CLOEXEC);
  int errnum = from < 0 ? errno : 0;
  while (!errnum) {
    ssize_t got = ft_read_full(from, block, sizeof block);
    errnum = got < 0 ? (int)-got : ft_write_all(fd, block, (size_t)got);
    if (got < (ssize_t)sizeof block) break;
  }
  if (from >= 0) close(from);
  return errnum;
}

static int appender_copy(lua_State *L) {
  struct file *f = check_appender(L);
  const char *path = check_path(L, 2);
  struct stat st;
  if (f->broken)
    return ft_fail(L, "io", "%s: an earlier failed write could not be undone", f->path);
  if (fstat(f->fd, &st)) return fail(L, f->path, errno);
  int errnum = copy_all(f->fd, path);
  if (errnum && S_ISREG(st.st_mode) && ftruncate(f->fd, st.st_size)) f->broken = 1;
  return done(L, path, errnum);
}

static int appender_close(lua_State *L) {
  close_file(luaL_checkudata(L, 1, APPENDER));
  return 0;
}

/* ---- lock ---- */

/* Takes the lock on the file that path names now: a holder may have removed the file between our
 * open and flock. */
static int take_lock(int *fd, const char *path) {
  struct stat held, named;
  for (;;) {
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (*fd < 0) return errno;
    while (flock(*fd, LOCK_EX | LOCK_NB)) {
      if (errno != EINTR) return errno;
    }
    if (fstat(*fd, &held)) return errno;
    if (stat(path, &named) == 0 && named.st_dev == held.st_dev && named.st_ino == held.st_ino)
      return 0;
    close(*fd);
    *fd = -1;
  }
}

static int fs_lock(lua_State *L) {
  const char *path = check_path(L, 1);
  size_t len;
  const char *note = luaL_optlstring(L, 2, "", &len);
  luaL_argcheck(L, len <= HOLDER_BYTES, 2, "a note of at most 256 bytes");
  struct file *f = new_file(L, LOCK);
  int errnum = take_lock(&f->fd, path);
  if (errnum == EWOULDBLOCK) {
    char holder[HOLDER_BYTES];
    ssize_t n = ft_read_full(f->fd, holder, sizeof holder);
    close_file(f);
    if (n < 0) n = 0;
    ft_fail(L, "busy", "%s: locked by %.*s", path, n ? (int)n : 15, n ? holder : "another process");
    lua_pushlstring(L, holder, (size_t)n);
    return 4;
  }
  if (!errnum && ftruncate(f->fd, 0)) errnum = errno;
  if (!errnum) errnum = ft_write_all(f->fd, note, len);
  if (errnum) {
    close_file(f);
    return fail(L, path, errnum);
  }
  return 1;
}

/* The file stays: removing it would let two processes lock two files of one name. Its note goes. */
static int lock_close(lua_State *L) {
  struct file *f = luaL_checkudata(L, 1, LOCK);
  if (f->fd >= 0 && ftruncate(f->fd, 0)) f->broken = 1;
  close_file(f);
  return 0;
}

/* ---- folders and names ---- */

static int make_folder(const char *path) {
  struct stat st;
  if (mkdir(path, 0777) == 0) return ft_sync_folder_of(path);
  int errnum = errno;
  if (stat(path, &st) == 0) return S_ISDIR(st.st_mode) ? 0 : errnum;
  return errnum;
}

static int fs_mkdir(lua_State *L) {
  const char *path = check_path(L, 1);
  char part[PATH_MAX];
  size_t len = strlen(path);
  while (len > 1 && path[len - 1] == '/') len--;
  if (len >= sizeof part) return fail(L, path, ENAMETOOLONG);
  memcpy(part, path, len);
  part[len] = '\0';
  int errnum = 0;
  for (char *slash = part; !errnum && (slash = strchr(slash + 1, '/'));) {
    *slash = '\0';
    errnum = make_folder(part);
    *slash = '/';
  }
  if (!errnum) errnum = make_folder(part);
  return done(L, path, errnum);
}

struct names {
  struct dirent **entries;
  int count;
};

static int names_close(lua_State *L) {
  struct names *names = luaL_checkudata(L, 1, NAMES);
  for (int i = 0; i < names->count; i++) free(names->entries[i]);
  free(names->entries);
  *names = (struct names){0};
  return 0;
}

static int not_dots(const struct dirent *e) {
  return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b) {
  return strcmp((*a)->d_name, (*b)->d_name);
}

static int fs_list(lua_State *L) {
  const char *path = check_path(L, 1);
  lua_settop(L, 1);
  struct names *names = lua_newuserdatauv(L, sizeof *names, 0);
  *names = (struct names){0};
  luaL_setmetatable(L, NAMES);
  lua_toclose(L, -1);
  int n = scandir(path, &names->entries, not_dots, by_bytes);
  if (n < 0) return fail(L, path, errno);
  names->count = n;
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    lua_pushstring(L, names->entries[i]->d_name);
    lua_rawseti(L, 3, i + 1);
  }
  return 1;
}

static int fs_stat(lua_State *L) {
  const char *path = check_path(L, 1);
  struct stat st;
  if (stat(path, &st)) return fail(L, path, errno);
  lua_createtable(L, 0, 3);
  lua_pushstring(L, S_ISREG(st.st_mode) ? "file" : S_ISDIR(st.st_mode) ? "directory" : "other");
  lua_setfield(L, -2, "type");
  lua_pushinteger(L, st.st_size);
  lua_setfield(L, -2, "bytes");
  lua_pushnumber(L, (double)st.st_mtim.tv_sec + (double)st.st_mtim.tv_nsec / 1e9);
  lua_setfield(L, -2, "modified");
  return 1;
}

static int fs_rename(lua_State *L) {
  const char *from = check_path(L, 1);
  const char *to = check_path(L, 2);
  if (rename(from, to) == 0) return done(L, to, ft_sync_folder_of(to));
  return fail(L, lua_pushfstring(L, "%s -> %s", from, to), errno);
}

/* Removes name below the folder `at`, and with `tree` all below it. Descriptors instead of paths: a
 * folder that somebody replaces by a link meanwhile leads nowhere. */
static int remove_at(int at, const char *name, int tree, int depth) {
  if (unlinkat(at, name, 0) == 0) return 0;
  int errnum = errno;
  if (errnum != EISDIR && errnum != EPERM) return errnum;
  if (unlinkat(at, name, AT_REMOVEDIR) == 0) return 0;
  if (errno == ENOTDIR) return errnum; /* a file that may not be removed */
  if (!tree || (errno != ENOTEMPTY && errno != EEXIST)) return errno;
  if (depth == 0) return ELOOP;
  int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return errno;
  DIR *dir = fdopendir(fd);
  if (!dir) {
    errnum = errno;
    close(fd);
    return errnum;
  }
  const struct dirent *e;
  errnum = 0;
  while (!errnum && (errno = 0, e = readdir(dir))) {
    if (not_dots(e)) errnum = remove_at(fd, e->d_name, 1, depth - 1);
    if (errnum == ENOENT) errnum = 0; /* somebody else was faster */
  }
  if (!errnum) errnum = errno;
  closedir(dir);
  if (!errnum && unlinkat(at, name, AT_REMOVEDIR)) errnum = errno;
  return errnum;
}

static int fs_remove(lua_State *L) {
  const char *path = check_path(L, 1);
  int tree = lua_toboolean(L, 2);
  return done(L, path, remove_at(AT_FDCWD, path, tree, TREE_DEPTH));
}

static int fs_realpath(lua_State *L) {
  const char *path = check_path(L, 1);
  char real[PATH_MAX];
  if (!realpath(path, real)) return fail(L, path, errno);
  lua_pushstring(L, real);
  return 1;
}

/* Who acts here: the process's user, not what the environment says. */
static int fs_whoami(lua_State *L) {
  char host[256] = "";
  if (gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
  const struct passwd *user = getpwuid(geteuid());
  if (user) {
    lua_pushfstring(L, "%s@%s", user->pw_name, host);
  } else {
    lua_pushfstring(L, "%d@%s", (int)geteuid(), host);
  }
  return 1;
}

/* The name becomes a Lua string before the folder is made: with no memory for it nobody could
 * remove the folder. */
static int fs_temporary(lua_State *L) {
  const char *prefix = check_path(L, 1);
  luaL_argcheck(L, !strchr(prefix, '/'), 1, "a name without '/'");
  const char *folder = getenv("TMPDIR");
  if (!folder || !*folder) folder = "/tmp";
  for (int i = 0; i < NAME_TRIES; i++) {
    uint64_t r;
    char random[17];
    if (getrandom(&r, sizeof r, 0) != sizeof r) return fail(L, folder, EIO);
    snprintf(random, sizeof random, "%016llx", (unsigned long long)r);
    const char *path = lua_pushfstring(L, "%s/%s-%s", folder, prefix, random);
    if (mkdir(path, 0700) == 0) return 1;
    if (errno != EEXIST) return fail(L, path, errno);
    lua_pop(L, 1);
  }
  return fail(L, folder, EEXIST);
}

static const luaL_Reg functions[] = {
    {"read", fs_read},
    {"write", fs_write},
    {"append", fs_append},
    {"lock", fs_lock},
    {"mkdir", fs_mkdir},
    {"list", fs_list},
    {"stat", fs_stat},
    {"rename", fs_rename},
    {"remove", fs_remove},
    {"realpath", fs_realpath},
    {"temporary", fs_temporary},
    {"whoami", fs_whoami},
    {NULL, NULL},
};

static const luaL_Reg appender_methods[] = {
    {"write", appender_write}, {"copy", appender_copy}, {"close", appender_close}, {NULL, NULL}};
static const luaL_Reg lock_methods[] = {{"close", lock_close}, {NULL, NULL}};
static const luaL_Reg none[] = {{NULL, NULL}};

int luaopen_ft_fs(lua_State *L) {
  ft_new_type(L, FILE_TYPE, none, file_close);
  ft_new_type(L, NAMES, none, names_close);
  ft_new_type(L, APPENDER, appender_methods, appender_close);
  ft_new_type(L, LOCK, lock_methods, lock_close);
  luaL_newlib(L, functions);
  return 1;
}

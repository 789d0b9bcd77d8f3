#include "secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "envfile.h"
#include "file.h"
#include "native.h"
#include "secrets.h"

static bool is_link(const char *path) {
  struct stat st;
  return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

static bool is_utf16(const struct ft_buf *text) {
  return text->len >= 2 &&
         (memcmp(text->data, "\xff\xfe", 2) == 0 || memcmp(text->data, "\xfe\xff", 2) == 0);
}

int ft_secret_file_read(const char *path, struct ft_buf *out) {
  char chunk[4096];
  ssize_t n;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno == ELOOP || (errno == ENOENT && is_link(path)) ? ENOLINK : errno;
  int failed = ft_buf_reserve(out, FT_SECRET_FILE_BYTES) ? ENOMEM : 0;
  while (!failed && (n = read(fd, chunk, sizeof chunk)) != 0) {
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      failed = errno;
    } else if (ft_buf_add(out, chunk, (size_t)n)) {
      failed = EOVERFLOW;
    }
  }
  close(fd);
  explicit_bzero(chunk, sizeof chunk);
  return !failed && is_utf16(out) ? EILSEQ : failed;
}

int ft_secret_file_fail(lua_State *L, const char *path, int errnum) {
  switch (errnum) {
  case EOVERFLOW:
    return ft_fail(L, "too_large", "%s: too large: it, or what its ${...} stand for, is over 1 MiB",
                   path);
  case EISDIR:
    return ft_fail(L, "folder", "%s: is a folder, not a file", path);
  case EILSEQ:
    return ft_fail(L, "encoding", "%s: is UTF-16, not UTF-8", path);
  case ENOLINK:
    return ft_fail(L, "dangling", "%s: is a link to a file that is not there", path);
  default:
    return ft_fail_errno(L, path, errnum);
  }
}

/* ---- one setting of a file ---- */

/* Writes the changed text over the file. 0, or an errno. */
static int replace_file(const char *path, const struct ft_buf *text) {
  struct ft_draft d;
  int errnum = ft_draft_open(&d, path, 0600);
  if (!errnum) errnum = ft_write_all(d.fd, text->data, text->len);
  if (!errnum) errnum = ft_draft_commit(&d);
  ft_draft_drop(&d);
  return errnum;
}

/* Reads the file at path, and finds the setting there; a file that is missing is an empty one. 0,
 * or an errno. */
static int find_in_file(const char *path, const char *name, struct ft_buf *text,
                        struct ft_envfile_place *place, struct ft_buf *value) {
  int errnum = ft_secret_file_read(path, text);
  if (errnum && errnum != ENOENT) return errnum;
  if (ft_buf_reserve(value, text->len + 1)) return ENOMEM; /* growing may leave copies behind */
  return ft_envfile_find(text->data, text->len, name, place, value) ? ENOMEM : 0;
}

/* Programs would take such a value for a shorter one: whether it is secret cannot be told. */
static bool holds_nul(const struct ft_buf *text, const struct ft_envfile_place *place) {
  return place->found && place->to > place->from &&
         memchr(text->data + place->from, '\0', place->to - place->from);
}

static int fail_nul(lua_State *L, const char *path, const char *name) {
  return ft_fail(L, "nul", "%s: the value of %s holds a zero byte", path, name);
}

static int refuse_secret(lua_State *L, const char *name) {
  return luaL_error(L, "%s is a secret, its value stays outside Lua", name);
}

/* The texts must be gone before anything can raise: what is pushed is copied to `kept` first. */
int ft_secret_file_setting(lua_State *L) {
  const char *path = luaL_checkstring(L, 1), *name = luaL_checkstring(L, 2);
  struct ft_envfile_place place;
  struct ft_buf text, value;
  char kept[2][4096];
  ft_buf_init(&text, FT_SECRET_FILE_BYTES);
  ft_buf_init(&value, FT_SECRET_FILE_BYTES);
  int failed = find_in_file(path, name, &text, &place, &value);
  size_t len = failed || !place.found ? 0 : place.to - place.from;
  bool secret = ft_secret_name(name) || (value.len > 0 && ft_secret_value(name, value.data));
  bool large = len >= sizeof kept[0] || value.len >= sizeof kept[0];
  bool nul = !failed && holds_nul(&text, &place);
  if (!failed && !secret && !large && !nul && place.found) {
    if (value.len > 0) memcpy(kept[0], value.data, value.len);
    memcpy(kept[1], text.data + place.from, len);
  }
  size_t value_len = value.len;
  ft_buf_wipe(&value);
  ft_buf_wipe(&text);
  if (failed) return ft_secret_file_fail(L, path, failed);
  if (secret) return refuse_secret(L, name);
  if (nul) return fail_nul(L, path, name);
  if (!place.found) {
    luaL_pushfail(L);
    return 1;
  }
  if (large) return ft_fail(L, "too_large", "%s: the value of %s is too long", path, name);
  lua_pushlstring(L, kept[0], value_len);
  lua_pushlstring(L, kept[1], len);
  return 2;
}

int ft_secret_file_adopt(lua_State *L) {
  const char *path = luaL_checkstring(L, 1), *name = luaL_checkstring(L, 2),
             *as = luaL_checkstring(L, 3);
  luaL_argcheck(L, ft_secret_name(as), 3, "the name of a secret");
  struct ft_envfile_place place;
  struct ft_buf text, value;
  ft_buf_init(&text, FT_SECRET_FILE_BYTES);
  ft_buf_init(&value, FT_SECRET_FILE_BYTES);
  int failed = find_in_file(path, name, &text, &place, &value);
  bool found = !failed && place.found && value.len > 0;
  if (found && ft_secrets_keep(as, value.data, path)) failed = ENOMEM;
  ft_buf_wipe(&value);
  ft_buf_wipe(&text);
  if (failed) return ft_secret_file_fail(L, path, failed);
  lua_pushboolean(L, found);
  return 1;
}

int ft_secret_file_change(lua_State *L) {
  const char *path = luaL_checkstring(L, 1), *name = luaL_checkstring(L, 2);
  const char *raw = luaL_optstring(L, 3, NULL);
  luaL_argcheck(L,
                name[0] && !name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                              "0123456789_")],
                2, "a name of letters, digits and _");
  if (ft_secret_name(name)) return refuse_secret(L, name);
  struct ft_envfile_place place;
  struct ft_buf text, value, out;
  ft_buf_init(&text, FT_SECRET_FILE_BYTES);
  ft_buf_init(&value, FT_SECRET_FILE_BYTES);
  ft_buf_init(&out, 2 * FT_SECRET_FILE_BYTES);
  int failed = find_in_file(path, name, &text, &place, &value);
  bool secret = value.len > 0 && ft_secret_value(name, value.data);
  bool nul = !failed && holds_nul(&text, &place);
  if (!failed && !secret && !nul) {
    failed = ft_envfile_change(text.data, text.len, name, raw, &out) ? ENOMEM : 0;
    if (!failed) failed = replace_file(path, &out);
  }
  ft_buf_wipe(&text);
  ft_buf_wipe(&value);
  ft_buf_wipe(&out);
  if (secret) return refuse_secret(L, name);
  if (nul) return fail_nul(L, path, name);
  if (failed) return ft_secret_file_fail(L, path, failed);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- netrc ---- */

/* The next word, its end overwritten by NUL; comments are passed over. NULL at the end. */
static char *next_word(char **at) {
  static const char blank[] = " \t\r\n";
  for (;;) {
    *at += strspn(*at, blank);
    if (**at != '#') break;
    *at += strcspn(*at, "\n");
  }
  char *word = *at;
  if (!*word) return NULL;
  if (*word == '"') {
    word = ++*at;
    *at += strcspn(*at, "\"\n");
  } else {
    *at += strcspn(*at, blank);
  }
  if (**at) *(*at)++ = '\0';
  return word;
}

/* Whether the machine has a password, which is kept as a secret under `name`; every password of the
 * file is masked in output from then on. */
static bool keep_password(char *text, const char *machine, const char *name, const char *path) {
  bool ours = false, found = false;
  for (char *word; (word = next_word(&text));) {
    if (strcmp(word, "default") == 0) {
      ours = false;
      continue;
    }
    if (strcmp(word, "macdef") == 0) { /* up to an empty line */
      char *end = strstr(text, "\n\n");
      text = end ? end : text + strlen(text);
      continue;
    }
    bool names = strcmp(word, "machine") == 0, password = strcmp(word, "password") == 0;
    if (!names && !password && strcmp(word, "login") != 0 && strcmp(word, "account") != 0) continue;
    char *value = next_word(&text);
    if (!value) break;
    if (names) ours = strcmp(value, machine) == 0;
    if (password) ft_secrets_hide(value, strlen(value));
    if (password && ours && *value && !found) found = ft_secrets_keep(name, value, path) == 0;
  }
  return found;
}

int ft_secret_file_netrc(lua_State *L) {
  size_t len;
  const char *path = luaL_checklstring(L, 1, &len), *machine = luaL_checkstring(L, 2);
  luaL_argcheck(L, strlen(path) == len, 1, "a path holds no NUL byte");
  const char *name = lua_pushfstring(L, "netrc password of %s", machine);
  struct ft_buf text;
  ft_buf_init(&text, FT_SECRET_FILE_BYTES);
  int errnum = ft_secret_file_read(path, &text);
  bool found = !errnum && text.data && keep_password(text.data, machine, name, path);
  ft_buf_wipe(&text);
  if (errnum) return ft_secret_file_fail(L, path, errnum);
  if (found)
    lua_pushstring(L, name);
  else
    lua_pushboolean(L, 0);
  return 1;
}

#include "secrets.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "dotenv.h"
#include "dsn.h"
#include "envfile.h"
#include "file.h"
#include "mask.h"
#include "native.h"

enum { FILE_BYTES = 1024 * 1024 };

struct setting {
  char *name, *value; /* owned */
  char *origin;       /* owned: path of the .env file */
};

static struct {
  struct setting *settings;
  size_t count;
  struct ft_mask mask;
  bool knows_environment;
} store;

/* ---- what is secret ---- */

static bool name_has(const char *name, const char *const *words) {
  for (; *words; words++)
    if (strcasestr(name, *words)) return true;
  return false;
}

static bool one_of(const char *value, const char *const *words) {
  for (; *words; words++)
    if (strcasecmp(value, *words) == 0) return true;
  return false;
}

/* MAX_TOKENS=4096 and TOKENIZERS_PARALLELISM=false hide nothing, and masking them would garble
 * every output. */
static bool is_plain(const char *name, const char *value) {
  static const char *const hard[] = {"SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "DSN", NULL};
  static const char *const words[] = {"true", "false", "none", "null", "auto",
                                      "yes",  "no",    "on",   "off",  NULL};
  if (one_of(value, words)) return true;
  return !name_has(name, hard) && strlen(value) < 8 && value[strspn(value, "0123456789.")] == '\0';
}

static bool name_is_secret(const char *name) {
  static const char *const words[] = {"KEY",    "TOKEN",      "SECRET", "PASSWORD",
                                      "PASSWD", "CREDENTIAL", "DSN",    NULL};
  return strcasecmp(name, "DATABASE_URL") == 0 || name_has(name, words);
}

static bool is_secret(const char *name, const char *value) {
  if (name_is_secret(name)) return !value || !is_plain(name, value);
  if (!value || !strstr(value, "://")) return false;
  struct ft_dsn dsn;
  bool has_password = ft_dsn_parse(value, &dsn) && dsn.password;
  explicit_bzero(&dsn, sizeof dsn);
  return has_password;
}

/* Hides a secret value and the password in it. A password that is also the user, host or database
 * name ("postgres") is not hidden alone: that would garble messages, and tell what it is. */
static void hide(const char *name, const char *value) {
  struct ft_dsn dsn;
  if (!is_secret(name, value)) return;
  ft_mask_add(&store.mask, value, strlen(value));
  if (ft_dsn_parse(value, &dsn) && dsn.password) {
    const char *password = dsn.field[FT_DSN_PASSWORD];
    bool elsewhere = false;
    for (int i = 0; i < FT_DSN_FIELDS; i++)
      if (i != FT_DSN_PASSWORD && strcmp(dsn.field[i], password) == 0) elsewhere = true;
    if (!elsewhere) {
      ft_mask_add(&store.mask, dsn.password, dsn.password_len);
      ft_mask_add(&store.mask, password, strlen(password));
    }
  }
  explicit_bzero(&dsn, sizeof dsn);
}

static void learn_environment(void) {
  char name[256];
  if (store.knows_environment) return;
  store.knows_environment = true;
  for (char **e = environ; e && *e; e++) {
    const char *equals = strchr(*e, '=');
    if (!equals || !equals[1] || (size_t)(equals - *e) >= sizeof name) continue;
    memcpy(name, *e, (size_t)(equals - *e));
    name[equals - *e] = '\0';
    hide(name, equals + 1);
  }
}

size_t ft_secrets_mask(char *text, size_t len) {
  learn_environment();
  return ft_mask_apply(&store.mask, text, len);
}

void ft_secrets_hide(const char *value, size_t len) {
  ft_mask_add(&store.mask, value, len);
}

/* ---- the store ---- */

static struct setting *find(const char *name, size_t len) {
  for (size_t i = 0; i < store.count; i++)
    if (strlen(store.settings[i].name) == len && memcmp(store.settings[i].name, name, len) == 0)
      return &store.settings[i];
  return NULL;
}

static const char *get_any(const char *name) {
  const char *value = getenv(name);
  if (value) return value; /* an empty one too: it switches the file's off */
  struct setting *s = find(name, strlen(name));
  return s ? s->value : NULL;
}

const char *ft_secret(const char *name) {
  const char *value = get_any(name);
  return value && *value ? value : NULL;
}

static void clear(struct setting *s) {
  explicit_bzero(s->value, strlen(s->value));
  free(s->value);
  free(s->name);
  free(s->origin);
}

static void forget(const char *origin) {
  size_t kept = 0;
  for (size_t i = 0; i < store.count; i++) {
    if (strcmp(store.settings[i].origin, origin) == 0) {
      clear(&store.settings[i]);
    } else {
      store.settings[kept++] = store.settings[i];
    }
  }
  store.count = kept;
}

void ft_secrets_free(void) {
  for (size_t i = 0; i < store.count; i++) clear(&store.settings[i]);
  free(store.settings);
  ft_mask_free(&store.mask);
  memset(&store, 0, sizeof store);
}

/* Within one file the last binding of a name counts; among files the first. 0, or -1 without
 * memory. */
static int put(const char *origin, const char *name, const char *value) {
  struct setting *old = find(name, strlen(name));
  hide(name, value);
  if (old && strcmp(old->origin, origin) != 0) return 0;
  struct setting fresh = {strdup(name), strdup(value), strdup(origin)};
  struct setting *grown =
      old ? store.settings : realloc(store.settings, (store.count + 1) * sizeof *grown);
  if (grown) store.settings = grown;
  if (!fresh.name || !fresh.value || !fresh.origin || !grown) {
    free(fresh.name);
    free(fresh.value);
    free(fresh.origin);
    return -1;
  }
  if (old) {
    clear(old);
    *old = fresh;
  } else {
    store.settings[store.count++] = fresh;
  }
  return 0;
}

int ft_secrets_keep(const char *name, const char *value, const char *origin) {
  return put(origin, name, value);
}

/* ---- .env files ---- */

static const char *lookup(void *context, const char *name, size_t len) {
  char copy[256];
  (void)context;
  if (len >= sizeof copy) return NULL;
  memcpy(copy, name, len);
  copy[len] = '\0';
  return get_any(copy);
}

static bool is_link(const char *path) {
  struct stat st;
  return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

static bool is_utf16(const struct ft_buf *text) {
  return text->len >= 2 &&
         (memcmp(text->data, "\xff\xfe", 2) == 0 || memcmp(text->data, "\xfe\xff", 2) == 0);
}

/* Reads a whole file. 0, or an errno; EOVERFLOW past the limit, ENOLINK for a link that leads
 * nowhere, EILSEQ for another encoding. */
static int read_file(const char *path, struct ft_buf *out) {
  char chunk[4096];
  ssize_t n;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno == ELOOP || (errno == ENOENT && is_link(path)) ? ENOLINK : errno;
  int failed = ft_buf_reserve(out, FILE_BYTES) ? ENOMEM : 0;
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

static int fail_file(lua_State *L, const char *path, int errnum) {
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

/* What became of a file; no part of it is a secret. */
struct report {
  int failed;    /* errno */
  unsigned line; /* first broken line; 0: none */
};

static void read_settings(struct ft_dotenv *r, const char *path, struct report *report) {
  struct ft_buf value;
  enum ft_dotenv_result result;
  ft_buf_init(&value, FILE_BYTES);
  while (!report->failed && (result = ft_dotenv_next(r)) != FT_DOTENV_END) {
    ft_buf_reset(&value);
    bool whole = result == FT_DOTENV_BINDING && strlen(r->key.data) == r->key.len &&
                 (!r->value.data || strlen(r->value.data) == r->value.len);
    if (result == FT_DOTENV_MEMORY) {
      report->failed = ENOMEM;
    } else if (!whole) {
      if (report->line == 0) report->line = r->first;
    } else { /* a bare name counts as an empty value */
      if (ft_dotenv_expand(r->value.data, r->value.len, lookup, NULL, &value))
        report->failed = EOVERFLOW;
      else if (put(path, r->key.data, value.data ? value.data : ""))
        report->failed = ENOMEM;
    }
  }
  ft_buf_wipe(&value);
}

static int secrets_load(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct report report = {0};
  struct ft_buf text;
  struct ft_dotenv reader;
  learn_environment();
  forget(path);
  ft_buf_init(&text, FILE_BYTES);
  report.failed = read_file(path, &text);
  if (!report.failed) {
    ft_dotenv_init(&reader, text.data, text.len);
    read_settings(&reader, path, &report);
    ft_dotenv_free(&reader);
  }
  ft_buf_wipe(&text);
  if (report.failed && report.failed != ENOENT && report.failed != ENOTDIR)
    return fail_file(L, path, report.failed);
  if (report.line)
    return ft_fail(L, "syntax", "%s:%u: not a NAME=value line, or a quote that is not closed", path,
                   report.line);
  lua_Integer count = 0;
  for (size_t i = 0; i < store.count; i++)
    if (strcmp(store.settings[i].origin, path) == 0) count++;
  lua_pushinteger(L, count);
  return 1;
}

/* ---- Lua ---- */

static int secrets_origin(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  if (!ft_secret(name))
    luaL_pushfail(L);
  else
    lua_pushstring(L, getenv(name) ? "environment" : find(name, strlen(name))->origin);
  return 1;
}

static int secrets_is_secret(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  lua_pushboolean(L, is_secret(name, ft_secret(name)));
  return 1;
}

static int secrets_setting(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  const char *value = ft_secret(name);
  if (is_secret(name, value))
    return luaL_error(L, "%s is a secret, its value stays outside Lua", name);
  lua_pushstring(L, value);
  return 1;
}

static int secrets_describe(lua_State *L) {
  const char *value = ft_secret(luaL_checkstring(L, 1));
  struct ft_dsn dsn;
  char text[FT_DSN_FIELDS * sizeof dsn.field[0]];
  if (!value) {
    luaL_pushfail(L);
    return 1;
  }
  if (ft_dsn_parse(value, &dsn)) {
    const char *user = dsn.field[FT_DSN_USER], *host = dsn.field[FT_DSN_HOST];
    const char *port = dsn.field[FT_DSN_PORT], *name = dsn.field[FT_DSN_NAME];
    snprintf(text, sizeof text, "%s%s%s%s%s%s%s", user, *user ? "@" : "",
             *host ? host : "local socket", *port ? ":" : "", port, *name ? "/" : "", name);
  } else {
    snprintf(text, sizeof text, "(not a database URL)");
  }
  explicit_bzero(&dsn, sizeof dsn);
  lua_pushstring(L, text);
  return 1;
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
  int errnum = read_file(path, text);
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
static int secrets_read_setting(lua_State *L) {
  const char *path = luaL_checkstring(L, 1), *name = luaL_checkstring(L, 2);
  struct ft_envfile_place place;
  struct ft_buf text, value;
  char kept[2][4096];
  ft_buf_init(&text, FILE_BYTES);
  ft_buf_init(&value, FILE_BYTES);
  int failed = find_in_file(path, name, &text, &place, &value);
  size_t len = failed || !place.found ? 0 : place.to - place.from;
  bool secret = name_is_secret(name) || (value.len > 0 && is_secret(name, value.data));
  bool large = len >= sizeof kept[0] || value.len >= sizeof kept[0];
  bool nul = !failed && holds_nul(&text, &place);
  if (!failed && !secret && !large && !nul && place.found) {
    if (value.len > 0) memcpy(kept[0], value.data, value.len);
    memcpy(kept[1], text.data + place.from, len);
  }
  size_t value_len = value.len;
  ft_buf_wipe(&value);
  ft_buf_wipe(&text);
  if (failed) return fail_file(L, path, failed);
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

static int secrets_adopt(lua_State *L) {
  const char *path = luaL_checkstring(L, 1), *name = luaL_checkstring(L, 2),
             *as = luaL_checkstring(L, 3);
  luaL_argcheck(L, name_is_secret(as), 3, "the name of a secret");
  struct ft_envfile_place place;
  struct ft_buf text, value;
  ft_buf_init(&text, FILE_BYTES);
  ft_buf_init(&value, FILE_BYTES);
  int failed = find_in_file(path, name, &text, &place, &value);
  bool found = !failed && place.found && value.len > 0;
  if (found && ft_secrets_keep(as, value.data, path)) failed = ENOMEM;
  ft_buf_wipe(&value);
  ft_buf_wipe(&text);
  if (failed) return fail_file(L, path, failed);
  lua_pushboolean(L, found);
  return 1;
}

static int secrets_write_setting(lua_State *L) {
  const char *path = luaL_checkstring(L, 1), *name = luaL_checkstring(L, 2);
  const char *raw = luaL_optstring(L, 3, NULL);
  luaL_argcheck(L,
                name[0] && !name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                              "0123456789_")],
                2, "a name of letters, digits and _");
  if (name_is_secret(name)) return refuse_secret(L, name);
  struct ft_envfile_place place;
  struct ft_buf text, value, out;
  ft_buf_init(&text, FILE_BYTES);
  ft_buf_init(&value, FILE_BYTES);
  ft_buf_init(&out, 2 * FILE_BYTES);
  int failed = find_in_file(path, name, &text, &place, &value);
  bool secret = value.len > 0 && is_secret(name, value.data);
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
  if (failed) return fail_file(L, path, failed);
  lua_pushboolean(L, 1);
  return 1;
}

static const luaL_Reg functions[] = {
    {"load", secrets_load},
    {"origin", secrets_origin},
    {"is_secret", secrets_is_secret},
    {"setting", secrets_setting},
    {"describe", secrets_describe},
    {"read_setting", secrets_read_setting},
    {"adopt", secrets_adopt},
    {"write_setting", secrets_write_setting},
    {NULL, NULL},
};

int luaopen_ft_secrets(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}

#include "secrets.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "dotenv.h"
#include "dsn.h"
#include "mask.h"
#include "native.h"
#include "secret_file.h"

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

bool ft_secret_name(const char *name) {
  static const char *const words[] = {"KEY",    "TOKEN",      "SECRET", "PASSWORD",
                                      "PASSWD", "CREDENTIAL", "DSN",    NULL};
  return strcasecmp(name, "DATABASE_URL") == 0 || name_has(name, words);
}

bool ft_secret_value(const char *name, const char *value) {
  if (ft_secret_name(name)) return !value || !is_plain(name, value);
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
  if (!ft_secret_value(name, value)) return;
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

/* What became of a file; no part of it is a secret. */
struct report {
  int failed;    /* errno */
  unsigned line; /* first broken line; 0: none */
};

static void read_settings(struct ft_dotenv *r, const char *path, struct report *report) {
  struct ft_buf value;
  enum ft_dotenv_result result;
  ft_buf_init(&value, FT_SECRET_FILE_BYTES);
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
  ft_buf_init(&text, FT_SECRET_FILE_BYTES);
  report.failed = ft_secret_file_read(path, &text);
  if (!report.failed) {
    ft_dotenv_init(&reader, text.data, text.len);
    read_settings(&reader, path, &report);
    ft_dotenv_free(&reader);
  }
  ft_buf_wipe(&text);
  if (report.failed && report.failed != ENOENT && report.failed != ENOTDIR)
    return ft_secret_file_fail(L, path, report.failed);
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
  lua_pushboolean(L, ft_secret_value(name, ft_secret(name)));
  return 1;
}

static int secrets_setting(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  const char *value = ft_secret(name);
  if (ft_secret_value(name, value))
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

static const luaL_Reg functions[] = {
    {"load", secrets_load},           {"origin", secrets_origin},
    {"is_secret", secrets_is_secret}, {"setting", secrets_setting},
    {"describe", secrets_describe},   {"read_setting", ft_secret_file_setting},
    {"adopt", ft_secret_file_adopt},  {"write_setting", ft_secret_file_change},
    {"netrc", ft_secret_file_netrc},  {NULL, NULL},
};

int luaopen_ft_secrets(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}

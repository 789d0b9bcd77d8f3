#include "http_op.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "native.h"
#include "secrets.h"

enum { UPLOAD_BUFFER_BYTES = 256 * 1024 };

/* ---- arguments ---- */

static const char *field(lua_State *L, int table, const char *key) {
  return ft_opt_string(L, lua_absindex(L, table), key, NULL, NULL);
}

/* Neither a name nor a value of a header may end the line. */
static int one_line(const char *s, size_t len) {
  for (size_t i = 0; i < len; i++)
    if (s[i] == '\r' || s[i] == '\n' || s[i] == '\0') return 0;
  return 1;
}

static int is_token(const char *s) {
  if (!*s) return 0;
  for (; *s; s++)
    if (!isalnum((unsigned char)*s) && !strchr("!#$%&'*+-.^_`|~", *s)) return 0;
  return 1;
}

static void check_headers(lua_State *L) {
  lua_getfield(L, FT_HTTP_OPTIONS, "headers");
  if (!lua_isnil(L, -1)) {
    luaL_argexpected(L, lua_istable(L, -1), FT_HTTP_OPTIONS, "headers: a table");
    lua_pushnil(L);
    while (lua_next(L, -2)) {
      size_t len = 0;
      const char *value = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
      if (lua_type(L, -2) != LUA_TSTRING || !is_token(lua_tostring(L, -2)) || !value ||
          !one_line(value, len))
        luaL_argerror(L, FT_HTTP_OPTIONS, "headers: names and values must be strings of one line");
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
}

static void check_auth(lua_State *L) {
  static const char *const keys[] = {"secret", "header", "prefix", "user", NULL};
  lua_getfield(L, FT_HTTP_OPTIONS, "auth");
  if (!lua_isnil(L, -1)) {
    int t = lua_gettop(L);
    ft_check_keys(L, t, keys);
    const char *header = ft_opt_string(L, t, "header", "Authorization", NULL);
    const char *prefix = ft_opt_string(L, t, "prefix", "Bearer ", NULL);
    field(L, t, "user");
    if (!field(L, t, "secret") || !is_token(header) || !one_line(prefix, strlen(prefix)))
      luaL_argerror(L, FT_HTTP_OPTIONS,
                    "auth: expected { secret = name, header = token, prefix = line, user = name }");
  }
  lua_pop(L, 1);
}

static void check_parts(lua_State *L) {
  static const char *const keys[] = {"name",  "value",    "path",         "offset",
                                     "bytes", "filename", "content_type", NULL};
  lua_getfield(L, FT_HTTP_OPTIONS, "parts");
  if (!lua_isnil(L, -1)) {
    luaL_argexpected(L, lua_istable(L, -1), FT_HTTP_OPTIONS, "parts: a list");
    luaL_argcheck(L, !field(L, FT_HTTP_OPTIONS, "body"), FT_HTTP_OPTIONS,
                  "body and parts exclude each other");
    lua_Integer n = luaL_len(L, -1);
    for (lua_Integer i = 1; i <= n; i++) {
      lua_rawgeti(L, -1, i);
      int t = lua_gettop(L);
      ft_check_keys(L, t, keys);
      field(L, t, "filename");
      field(L, t, "content_type");
      if (!field(L, t, "name") || !field(L, t, "value") == !field(L, t, "path"))
        luaL_argerror(L, FT_HTTP_OPTIONS, "parts: each needs a name, and either a value or a path");
      if (!(ft_opt_number(L, t, "offset", 0) >= 0 && ft_opt_number(L, t, "bytes", 0) >= 0))
        luaL_argerror(L, FT_HTTP_OPTIONS, "parts: offset and bytes are not negative");
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
}

static double positive(lua_State *L, const char *key, double dflt) {
  double n = ft_opt_number(L, FT_HTTP_OPTIONS, key, dflt);
  if (!(n > 0 && n <= 1e6))
    luaL_argerror(L, FT_HTTP_OPTIONS,
                  lua_pushfstring(L, "%s: expected 0 < seconds <= 1000000", key));
  return n;
}

void ft_http_check(lua_State *L) {
  static const char *const keys[] = {
      "headers",           "auth",    "body",      "parts",       "file",    "output", "timeout_s",
      "connect_timeout_s", "stall_s", "max_bytes", "on_progress", "on_data", "proxy",  NULL};
  luaL_argcheck(L, is_token(luaL_checkstring(L, FT_HTTP_METHOD)), FT_HTTP_METHOD,
                "not an HTTP method");
  luaL_checkstring(L, FT_HTTP_URL);
  lua_settop(L, FT_HTTP_OPTIONS);
  if (lua_isnil(L, FT_HTTP_OPTIONS)) {
    lua_newtable(L);
    lua_replace(L, FT_HTTP_OPTIONS);
  }
  ft_check_keys(L, FT_HTTP_OPTIONS, keys);
  check_headers(L);
  check_auth(L);
  check_parts(L);
  if (field(L, FT_HTTP_OPTIONS, "file")) {
    lua_getfield(L, FT_HTTP_OPTIONS, "parts");
    luaL_argcheck(L, lua_isnil(L, -1) && !field(L, FT_HTTP_OPTIONS, "body"), FT_HTTP_OPTIONS,
                  "file, body and parts exclude each other");
    lua_pop(L, 1);
  }
  field(L, FT_HTTP_OPTIONS, "body");
  field(L, FT_HTTP_OPTIONS, "output");
  ft_opt_boolean(L, FT_HTTP_OPTIONS, "proxy", true);
  positive(L, "timeout_s", 1);
  positive(L, "connect_timeout_s", 1);
  positive(L, "stall_s", 1);
  double max_bytes = ft_opt_number(L, FT_HTTP_OPTIONS, "max_bytes", 0);
  luaL_argcheck(L, max_bytes >= 0 && max_bytes < 1e15, FT_HTTP_OPTIONS, "max_bytes: out of range");
  static const char *const functions[] = {"on_progress", "on_data"};
  for (int i = 0; i < 2; i++) {
    int type = lua_getfield(L, FT_HTTP_OPTIONS, functions[i]);
    if (type != LUA_TNIL && type != LUA_TFUNCTION)
      luaL_argerror(L, FT_HTTP_OPTIONS, lua_pushfstring(L, "%s: not a function", functions[i]));
    lua_pop(L, 1);
  }
}

/* ---- setting a request up; each returns 0, or pushes a failure and returns its count ---- */

static int fail_unsent(lua_State *L, const char *code, const char *what, const char *why) {
  ft_fail(L, code, "%s: %s", what, why);
  lua_pushboolean(L, 0);
  return 4;
}

static void *need(lua_State *L, void *p) {
  if (!p) luaL_error(L, "not enough memory");
  return p;
}

/* Checks the URL and keeps host:port, the only part of it that messages show: the rest may hold
 * passwords. */
static int set_url(lua_State *L, struct ft_http_op *op) {
  char *scheme = NULL, *host = NULL, *port = NULL;
  CURLU *u = need(L, curl_url());
  CURLUcode code = curl_url_set(u, CURLUPART_URL, lua_tostring(L, FT_HTTP_URL), 0);
  if (!code) code = curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
  if (!code) code = curl_url_get(u, CURLUPART_HOST, &host, 0);
  op->tls = !code && strcmp(scheme, "https") == 0;
  int http = op->tls || (!code && strcmp(scheme, "http") == 0);
  int has_port = !code && !curl_url_get(u, CURLUPART_PORT, &port, 0);
  if (http)
    snprintf(op->host, sizeof op->host, "%s%s%s", host, has_port ? ":" : "", has_port ? port : "");
  curl_free(scheme);
  curl_free(host);
  curl_free(port);
  curl_url_cleanup(u);
  if (!http)
    return fail_unsent(L, "bad_url", "not a usable URL",
                       code ? curl_url_strerror(code) : "expected http:// or https://");
  curl_easy_setopt(op->transfer.easy, CURLOPT_URL, lua_tostring(L, FT_HTTP_URL));
  return 0;
}

static void add_header(lua_State *L, struct ft_http_op *op, const char *line) {
  op->headers = need(L, curl_slist_append(op->headers, line));
}

static void set_headers(lua_State *L, struct ft_http_op *op) {
  lua_getfield(L, FT_HTTP_OPTIONS, "headers");
  if (lua_istable(L, -1)) {
    lua_pushnil(L);
    while (lua_next(L, -2)) {
      const char *value =
          lua_tostring(L, -1); /* curl's notation of a header without a value is "name;" */
      const char *line = lua_pushfstring(L, *value ? "%s: %s" : "%s;", lua_tostring(L, -2), value);
      add_header(L, op, line);
      lua_pop(L, 2);
    }
  }
  lua_pop(L, 1);
}

static int set_auth(lua_State *L, struct ft_http_op *op) {
  lua_getfield(L, FT_HTTP_OPTIONS, "auth");
  if (lua_isnil(L, -1)) return 0;
  int t = lua_gettop(L);
  const char *name = field(L, t, "secret");
  const char *value = ft_secret(name);
  if (!value)
    return fail_unsent(L, "no_secret", name, "not set, neither in the environment nor in .env");
  if (!one_line(value, strlen(value)))
    return fail_unsent(L, "no_secret", name, "holds a line end, which no header can carry");
  const char *user = field(L, t, "user");
  if (user) {
    CURL *easy = op->transfer.easy;
    CURLcode code = curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    if (!code) code = curl_easy_setopt(easy, CURLOPT_USERNAME, user);
    if (!code) code = curl_easy_setopt(easy, CURLOPT_PASSWORD, value);
    need(L, code ? NULL : op);
    lua_pop(L, 1);
    return 0;
  }
  const char *header = ft_opt_string(L, t, "header", "Authorization", NULL);
  const char *prefix = ft_opt_string(L, t, "prefix", "Bearer ", NULL);
  size_t name_size = strlen(header), prefix_size = strlen(prefix), value_size = strlen(value);
  size_t size = name_size + 2 + prefix_size + value_size + 1;
  char *line = need(L, malloc(size)), *end = line;
  end = (char *)memcpy(end, header, name_size) + name_size;
  end = (char *)memcpy(end, ": ", 2) + 2;
  end = (char *)memcpy(end, prefix, prefix_size) + prefix_size;
  memcpy(end, value, value_size + 1);
  struct curl_slist *list = curl_slist_append(op->headers, line);
  explicit_bzero(line, size);
  free(line);
  op->headers = need(L, list);
  lua_pop(L, 1);
  return 0;
}

static int set_parts(lua_State *L, struct ft_http_op *op) {
  op->mime = need(L, curl_mime_init(op->transfer.easy));
  lua_Integer n = luaL_len(L, -1);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, -1, i);
    int t = lua_gettop(L);
    size_t len = 0;
    const char *value = ft_opt_string(L, t, "value", NULL, &len);
    const char *path = field(L, t, "path");
    const char *filename = field(L, t, "filename");
    const char *type = field(L, t, "content_type");
    double from = ft_opt_number(L, t, "offset", 0);
    double bytes = ft_opt_number(L, t, "bytes", HUGE_VAL);
    curl_mimepart *part = need(L, curl_mime_addpart(op->mime));
    CURLcode code = curl_mime_name(part, field(L, t, "name"));
    if (path) {
      struct ft_http_slice *slice;
      const char *why = ft_http_slice_open(&slice, path, from, bytes);
      if (why) return fail_unsent(L, "io", path, why);
      CURLcode set = ft_http_slice_to_part(slice, part);
      if (!code) code = set;
      if (!code && !filename) {
        const char *slash = strrchr(path, '/');
        code = curl_mime_filename(part, slash ? slash + 1 : path);
      }
    } else if (!code) {
      code = curl_mime_data(part, value, len);
    }
    if (!code && filename) code = curl_mime_filename(part, filename);
    if (!code && type) code = curl_mime_type(part, type);
    if (code) return fail_unsent(L, "io", path ? path : "multipart body", curl_easy_strerror(code));
    lua_pop(L, 1);
  }
  curl_easy_setopt(op->transfer.easy, CURLOPT_MIMEPOST, op->mime);
  return 0;
}

static int set_file(lua_State *L, struct ft_http_op *op, const char *path) {
  const char *why = ft_http_slice_open(&op->file, path, 0, HUGE_VAL);
  if (why) return fail_unsent(L, "io", path, why);
  ft_http_slice_to_body(op->file, op->transfer.easy);
  add_header(L, op, "Expect:"); /* a server that does not answer it costs a second */
  return 0;
}

/* Leaves the body, which curl does not copy, in FT_HTTP_BODY. */
static int set_body(lua_State *L, struct ft_http_op *op, const char *method) {
  CURL *easy = op->transfer.easy;
  const char *path = field(L, FT_HTTP_OPTIONS, "file");
  if (path) {
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    return set_file(L, op, path);
  }
  lua_getfield(L, FT_HTTP_OPTIONS, "parts");
  int failed = lua_istable(L, -1) ? set_parts(L, op) : 0;
  if (failed) return failed;
  lua_pop(L, 1);
  lua_getfield(L, FT_HTTP_OPTIONS, "body");
  lua_replace(L, FT_HTTP_BODY);
  if (lua_isstring(L, FT_HTTP_BODY) || (!op->mime && strcmp(method, "POST") == 0)) {
    size_t len = 0;
    const char *body = lua_tolstring(L, FT_HTTP_BODY, &len);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body ? body : "");
    add_header(L, op, "Content-Type:"); /* none but the caller's */
  }
  if (strcmp(method, "HEAD") == 0)
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  else if (strcmp(method, "GET") != 0 || op->mime || lua_isstring(L, FT_HTTP_BODY))
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
  return 0;
}

/* The answer's file is made before anything is sent, so that a full or missing folder costs no
 * request. */
static int set_output(lua_State *L, struct ft_http_op *op) {
  const char *path = field(L, FT_HTTP_OPTIONS, "output");
  if (!path) return 0;
  op->output = need(L, strdup(path));
  size_t len = strlen(path);
  char *temporary = need(L, malloc(len + sizeof ".XXXXXX"));
  memcpy(temporary, path, len);
  memcpy(temporary + len, ".XXXXXX", sizeof ".XXXXXX");
  op->fd = mkostemp(temporary, O_CLOEXEC);
  if (op->fd < 0) {
    int error = errno;
    free(temporary);
    return fail_unsent(L, "io", path, strerror(error));
  }
  op->temporary = temporary;
  fchmod(op->fd, 0644);
  return 0;
}

static void set_limits(lua_State *L, struct ft_http_op *op) {
  CURL *easy = op->transfer.easy;
  op->max_bytes = (curl_off_t)ft_opt_number(L, FT_HTTP_OPTIONS, "max_bytes", 16 << 20);
  ft_buf_init(&op->body, (size_t)op->max_bytes);
  op->timeout_s = ft_opt_number(L, FT_HTTP_OPTIONS, "timeout_s", 60);
  op->stall_s = ft_opt_number(L, FT_HTTP_OPTIONS, "stall_s", 30);
  double connect_s = ft_opt_number(L, FT_HTTP_OPTIONS, "connect_timeout_s", 10);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)ceil(op->timeout_s * 1e3));
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)ceil(connect_s * 1e3));
}

static const char *first_of(const char *const *names) {
  const char *value = NULL;
  for (; *names && !value; names++) value = ft_secret(*names);
  return value;
}

/* curl's library reads proxies from the environment alone, and files of certificates not at all:
 * here .env counts too. */
static void set_network(lua_State *L, struct ft_http_op *op) {
  static const char *const bundle[] = {"CURL_CA_BUNDLE", "SSL_CERT_FILE", NULL};
  static const char *const folder[] = {"SSL_CERT_DIR", NULL};
  static const char *const https[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL};
  static const char *const http[] = {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", NULL};
  static const char *const none[] = {"no_proxy", "NO_PROXY", NULL};
  CURL *easy = op->transfer.easy;
  const char *ca = first_of(bundle), *path = first_of(folder);
  if (ca) curl_easy_setopt(easy, CURLOPT_CAINFO, ca);
  if (path) curl_easy_setopt(easy, CURLOPT_CAPATH, path);
  const char *proxy = NULL, *except = first_of(none);
  if (ft_opt_boolean(L, FT_HTTP_OPTIONS, "proxy", true)) proxy = first_of(op->tls ? https : http);
  curl_easy_setopt(easy, CURLOPT_PROXY, proxy ? proxy : "");
  curl_easy_setopt(easy, CURLOPT_NOPROXY, except ? except : "");
}

static void set_options(lua_State *L, struct ft_http_op *op) {
  CURL *easy = op->transfer.easy;
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, op->error);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT,
                   1L); /* a cancelled request does not wait for its name server */
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
  curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BUFFER_BYTES);
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "ftrun/" FTRUN_VERSION);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, op->headers);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, ft_http_on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, op);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ft_http_on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, op);
  curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, ft_http_on_progress);
  curl_easy_setopt(easy, CURLOPT_XFERINFODATA, op);
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, ft_http_on_request);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, op);
  /* Requests at the same time rather wait for a connection that they can share (HTTP/2). */
  /* Over plain HTTP the first answer never tells of HTTP/2: others would wait for it in vain. */
  const char *url = lua_tostring(L, FT_HTTP_URL);
  curl_easy_setopt(easy, CURLOPT_PIPEWAIT, (long)(strncasecmp(url, "https:", 6) == 0));
  set_network(L, op);
}

int ft_http_set_up(lua_State *L, struct ft_http_op *op) {
  const char *method = lua_tostring(L, FT_HTTP_METHOD);
  op->retries_safe = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
  op->transfer.easy = need(L, curl_easy_init());
  set_limits(L, op);
  set_headers(L, op);
  int failed = set_url(L, op);
  if (!failed) failed = set_auth(L, op);
  if (!failed) failed = set_body(L, op, method);
  if (!failed) failed = set_output(L, op);
  if (!failed) set_options(L, op);
  return failed;
}

#include "bindings.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "../host/file.h"
#include "../host/native.h"

enum { RANDOM_MAX = 1024, FILE_STEP = 65536 };

static void push_hex(lua_State *L, const unsigned char *bytes, size_t len) {
  static const char digit[] = "0123456789abcdef";
  luaL_Buffer b;
  char *p = luaL_buffinitsize(L, &b, 2 * len);
  for (size_t i = 0; i < len; i++) {
    p[2 * i] = digit[bytes[i] >> 4];
    p[2 * i + 1] = digit[bytes[i] & 15];
  }
  luaL_pushresultsize(&b, 2 * len);
}

static int push_digest(lua_State *L, const EVP_MD *md) {
  size_t len;
  const char *bytes = luaL_checklstring(L, 1, &len);
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned n = 0;
  if (!EVP_Digest(bytes, len, out, &n, md, NULL))
    return luaL_error(L, "the digest is not available");
  push_hex(L, out, n);
  return 1;
}

static int digest_sha256(lua_State *L) {
  return push_digest(L, EVP_sha256());
}

static int digest_md5(lua_State *L) {
  return push_digest(L, EVP_md5());
}

/* Digest of a file into out; 0, or an errno. */
static int hash_file(const char *path, const EVP_MD *md, unsigned char *out, unsigned *n) {
  unsigned char block[FILE_STEP];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  int errnum = ctx && EVP_DigestInit_ex(ctx, md, NULL) ? 0 : ENOMEM;
  while (!errnum) {
    ssize_t got = ft_read_full(fd, block, sizeof block);
    if (got < 0) errnum = (int)-got;
    if (got > 0 && !EVP_DigestUpdate(ctx, block, (size_t)got)) errnum = EIO;
    if (got < (ssize_t)sizeof block) break;
  }
  if (!errnum && !EVP_DigestFinal_ex(ctx, out, n)) errnum = EIO;
  EVP_MD_CTX_free(ctx);
  close(fd);
  return errnum;
}

static int push_file_digest(lua_State *L, const EVP_MD *md) {
  size_t len;
  const char *path = luaL_checklstring(L, 1, &len);
  luaL_argcheck(L, strlen(path) == len, 1, "a path holds no NUL byte");
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned n = 0;
  int errnum = hash_file(path, md, out, &n);
  if (errnum) return ft_fail_errno(L, path, errnum);
  push_hex(L, out, n);
  return 1;
}

static int digest_sha256_file(lua_State *L) {
  return push_file_digest(L, EVP_sha256());
}

static int digest_md5_file(lua_State *L) {
  return push_file_digest(L, EVP_md5());
}

/* ---- a text that comes in pieces ---- */

static const char STREAM[] = "ft.digest.Stream";

struct stream {
  EVP_MD_CTX *ctx; /* NULL: ended */
};

static int stream_close(lua_State *L) {
  struct stream *s = luaL_checkudata(L, 1, STREAM);
  EVP_MD_CTX_free(s->ctx);
  s->ctx = NULL;
  return 0;
}

static struct stream *check_stream(lua_State *L) {
  struct stream *s = luaL_checkudata(L, 1, STREAM);
  luaL_argcheck(L, s->ctx, 1, "the digest has ended");
  return s;
}

static int digest_stream(lua_State *L) {
  struct stream *s = lua_newuserdatauv(L, sizeof *s, 0);
  s->ctx = NULL;
  luaL_setmetatable(L, STREAM);
  s->ctx = EVP_MD_CTX_new();
  if (!s->ctx || !EVP_DigestInit_ex(s->ctx, EVP_sha256(), NULL))
    return luaL_error(L, "not enough memory");
  return 1;
}

static int stream_add(lua_State *L) {
  struct stream *s = check_stream(L);
  for (int i = 2, n = lua_gettop(L); i <= n; i++) {
    size_t len;
    const char *bytes = luaL_checklstring(L, i, &len);
    if (!EVP_DigestUpdate(s->ctx, bytes, len)) return luaL_error(L, "the digest has failed");
  }
  return 0;
}

static int stream_sha256(lua_State *L) {
  struct stream *s = check_stream(L);
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned n = 0;
  int ok = EVP_DigestFinal_ex(s->ctx, out, &n);
  stream_close(L);
  if (!ok) return luaL_error(L, "the digest has failed");
  push_hex(L, out, n);
  return 1;
}

/* ---- base64 ---- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int digest_base64(lua_State *L) {
  size_t len;
  const unsigned char *in = (const unsigned char *)luaL_checklstring(L, 1, &len);
  size_t size = (len + 2) / 3 * 4;
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, size);
  for (size_t i = 0; i < len; i += 3) {
    uint32_t v = (uint32_t)in[i] << 16;
    if (i + 1 < len) v |= (uint32_t)in[i + 1] << 8;
    if (i + 2 < len) v |= in[i + 2];
    *out++ = alphabet[v >> 18];
    *out++ = alphabet[v >> 12 & 63];
    *out++ = i + 1 < len ? alphabet[v >> 6 & 63] : '=';
    *out++ = i + 2 < len ? alphabet[v & 63] : '=';
  }
  luaL_pushresultsize(&b, size);
  return 1;
}

static int base64_value(unsigned char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static int is_space(unsigned char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

static int digest_unbase64(lua_State *L) {
  size_t len;
  const unsigned char *in = (const unsigned char *)luaL_checklstring(L, 1, &len);
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, len / 4 * 3 + 3), *start = out;
  uint32_t v = 0;
  int held = 0, padding = 0; /* characters of the current group of four */
  for (size_t i = 0; i < len; i++) {
    if (is_space(in[i])) continue;
    int value = base64_value(in[i]);
    if (in[i] == '=' && held + padding >= 2 && held + padding < 4) {
      padding++;
      continue;
    }
    if (value < 0 || padding)
      return ft_fail(L, "base64", "not base64: unexpected byte 0x%02x at byte %zu", in[i], i);
    v = v << 6 | (uint32_t)value;
    if (++held < 4) continue;
    *out++ = (char)(v >> 16);
    *out++ = (char)(v >> 8);
    *out++ = (char)v;
    held = 0;
  }
  if (held + padding != 0 && held + padding != 4)
    return ft_fail(L, "base64", "not base64: the text is cut off");
  if (padding) v <<= 6 * padding;
  if (padding) *out++ = (char)(v >> 16);
  if (padding == 1) *out++ = (char)(v >> 8);
  luaL_pushresultsize(&b, (size_t)(out - start));
  return 1;
}

static int digest_random_hex(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 1 && n <= RANDOM_MAX, 1, "1 to 1024 bytes");
  unsigned char bytes[RANDOM_MAX];
  for (size_t got = 0; got < (size_t)n;) {
    ssize_t r = getrandom(bytes + got, (size_t)n - got, 0);
    if (r < 0 && errno != EINTR) return luaL_error(L, "the system gives no random bytes");
    if (r > 0) got += (size_t)r;
  }
  push_hex(L, bytes, (size_t)n);
  return 1;
}

static const luaL_Reg functions[] = {
    {"sha256", digest_sha256},     {"sha256_file", digest_sha256_file}, {"stream", digest_stream},
    {"md5", digest_md5},           {"md5_file", digest_md5_file},       {"base64", digest_base64},
    {"unbase64", digest_unbase64}, {"random_hex", digest_random_hex},   {NULL, NULL},
};

static const luaL_Reg stream_methods[] = {
    {"add", stream_add}, {"sha256", stream_sha256}, {NULL, NULL}};

int luaopen_ft_digest(lua_State *L) {
  ft_new_type(L, STREAM, stream_methods, stream_close);
  luaL_newlib(L, functions);
  return 1;
}

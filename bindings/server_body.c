#include "server_body.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
  FORM_BUFFER_BYTES = 64 * 1024,
  MAX_PARTS = 1000,
  MAX_DROPPED_BYTES =
      1 << 30, /* read to the end, so that the client sees the answer, but not for ever */
};

struct ft_part {
  struct ft_part *next;
  char *name, *filename; /* filename NULL: a field */
  struct ft_buf value;   /* of a field */
  char *path;            /* of a file */
  int fd;
  uint64_t bytes;
  EVP_MD_CTX *hash;
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned digest_len;
};

static void seal(struct ft_part *p) {
  if (p->hash) EVP_DigestFinal_ex(p->hash, p->digest, &p->digest_len);
  EVP_MD_CTX_free(p->hash);
  p->hash = NULL;
  if (p->fd >= 0) close(p->fd);
  p->fd = -1;
}

static void free_part(struct ft_part *p) {
  seal(p);
  if (p->path) unlink(p->path);
  ft_buf_free(&p->value);
  free(p->path);
  free(p->name);
  free(p->filename);
  free(p);
}

static int open_spool(struct ft_body *b, struct ft_part *p) {
  static const char template[] = "/upload-XXXXXX";
  size_t len = strlen(b->limits->spool);
  char *path = malloc(len + sizeof template);
  p->hash = EVP_MD_CTX_new();
  if (!path || !p->hash || !EVP_DigestInit_ex(p->hash, EVP_sha256(), NULL)) {
    free(path);
    b->file_errno = ENOMEM;
    return -1;
  }
  memcpy(path, b->limits->spool, len);
  memcpy(path + len, template, sizeof template);
  p->fd = mkostemp(path, O_CLOEXEC);
  if (p->fd < 0) {
    b->file_errno = errno;
    free(path);
    return -1;
  }
  p->path = path;
  return 0;
}

/* NULL: a limit, or no memory. */
static struct ft_part *begin_part(struct ft_body *b, const char *name, const char *filename) {
  if (b->parts) seal(b->parts);
  if (b->part_count >= MAX_PARTS || (filename && !b->limits->spool)) {
    b->too_large = true;
    return NULL;
  }
  struct ft_part *p = calloc(1, sizeof *p);
  if (!p) {
    b->file_errno = ENOMEM;
    return NULL;
  }
  p->fd = -1;
  p->next = b->parts;
  b->parts = p;
  b->part_count++;
  ft_buf_init(&p->value, b->limits->memory_bytes);
  p->name = strdup(name);
  p->filename = filename ? strdup(filename) : NULL;
  if (!p->name || (filename && !p->filename)) {
    b->file_errno = ENOMEM;
    return NULL;
  }
  return filename && open_spool(b, p) ? NULL : p;
}

static int spool(struct ft_body *b, struct ft_part *p, const char *data, size_t len) {
  if (len > b->limits->upload_bytes - p->bytes) {
    b->too_large = true;
    return -1;
  }
  EVP_DigestUpdate(p->hash, data, len);
  p->bytes += len;
  while (len) {
    ssize_t n = write(p->fd, data, len);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      b->file_errno = errno;
      return -1;
    }
    data += n;
    len -= (size_t)n;
  }
  return 0;
}

/* MHD calls this for each piece of each part; a part begins at offset 0. */
static enum MHD_Result on_piece(void *user, enum MHD_ValueKind kind, const char *name,
                                const char *filename, const char *type, const char *encoding,
                                const char *data, uint64_t offset, size_t len) {
  struct ft_body *b = user;
  (void)kind, (void)type, (void)encoding;
  struct ft_part *p = b->parts;
  if (!name) return MHD_YES;
  int repeated_start = p && p->bytes == 0 && p->value.len == 0 && strcmp(p->name, name) == 0;
  if (offset == 0 && !repeated_start) p = begin_part(b, name, filename);
  if (!p) return MHD_NO;
  if (p->filename) return spool(b, p, data, len) ? MHD_NO : MHD_YES;
  b->field_bytes += len;
  if (b->field_bytes > b->limits->memory_bytes || (len && ft_buf_add(&p->value, data, len))) {
    b->too_large = true;
    return MHD_NO;
  }
  return MHD_YES;
}

int ft_body_init(struct ft_body *b, struct MHD_Connection *c, const struct ft_body_limits *limits) {
  static const char multipart[] = "multipart/form-data";
  *b = (struct ft_body){.limits = limits};
  ft_buf_init(&b->bytes, limits->memory_bytes);
  const char *type = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
  b->is_form = type && strncasecmp(type, multipart, sizeof multipart - 1) == 0;
  if (b->is_form) {
    b->form = MHD_create_post_processor(c, FORM_BUFFER_BYTES, on_piece, b);
    if (!b->form) b->malformed = true; /* no boundary */
    return 0;
  }
  const char *length =
      MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
  if (length && strtoull(length, NULL, 10) > limits->memory_bytes) b->too_large = true;
  return 0;
}

static void drop_parts(struct ft_body *b) {
  while (b->parts) {
    struct ft_part *p = b->parts;
    b->parts = p->next;
    free_part(p);
  }
}

static bool useless(const struct ft_body *b) {
  return b->too_large || b->malformed || b->file_errno;
}

bool ft_body_feed(struct ft_body *b, const char *data, size_t len) {
  if (!useless(b)) {
    if (b->form) {
      if (MHD_post_process(b->form, data, len) != MHD_YES && !useless(b)) b->malformed = true;
    } else if (ft_buf_add(&b->bytes, data, len)) {
      b->too_large = true;
    }
    if (!useless(b)) return true;
    drop_parts(b); /* gives the disk back now: what follows may be long */
    ft_buf_free(&b->bytes);
  }
  b->dropped += len;
  return b->dropped <= MAX_DROPPED_BYTES;
}

void ft_body_end(struct ft_body *b) {
  if (!b->form) return;
  if (MHD_destroy_post_processor(b->form) != MHD_YES && !useless(b)) b->malformed = true;
  b->form = NULL;
  if (b->parts) seal(b->parts);
}

static void push_hex(lua_State *L, const unsigned char *bytes, unsigned len) {
  char hex[2 * EVP_MAX_MD_SIZE + 1];
  for (unsigned i = 0; i < len; i++) snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
  lua_pushlstring(L, hex, 2 * (size_t)len);
}

static void push_part(lua_State *L, const struct ft_part *p) {
  if (!p->filename) {
    lua_pushlstring(L, p->value.data ? p->value.data : "", p->value.len);
    return;
  }
  lua_createtable(L, 0, 4);
  lua_pushstring(L, p->path);
  lua_setfield(L, -2, "path");
  lua_pushstring(L, p->filename);
  lua_setfield(L, -2, "filename");
  lua_pushinteger(L, (lua_Integer)p->bytes);
  lua_setfield(L, -2, "bytes");
  push_hex(L, p->digest, p->digest_len);
  lua_setfield(L, -2, "sha256");
}

void ft_body_push(lua_State *L, struct ft_body *b) {
  if (b->file_errno) {
    lua_pushstring(L, strerror(b->file_errno));
    lua_setfield(L, -2, "unstored");
  } else if (b->too_large || b->malformed) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, b->too_large ? "too_large" : "malformed");
  } else if (b->is_form) {
    lua_newtable(L);
    for (const struct ft_part *p = b->parts; p; p = p->next) {
      lua_pushstring(L, p->name);
      if (lua_rawget(L, -2) == LUA_TNIL) { /* the newest comes first, and stays */
        lua_pushstring(L, p->name);
        push_part(L, p);
        lua_rawset(L, -4);
      }
      lua_pop(L, 1);
    }
    lua_setfield(L, -2, "form");
  } else {
    lua_pushlstring(L, b->bytes.data ? b->bytes.data : "", b->bytes.len);
    lua_setfield(L, -2, "body");
    ft_buf_free(&b->bytes);
  }
}

void ft_body_free(struct ft_body *b) {
  if (b->form) MHD_destroy_post_processor(b->form);
  b->form = NULL;
  drop_parts(b);
  ft_buf_free(&b->bytes);
}

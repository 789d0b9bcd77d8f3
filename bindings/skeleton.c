#include "skeleton.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "jsonstring.h"

enum { LIMIT = 1 << 30, NUMBER_MAX = 20, WORD_MAX = 64 };

/* ---- the shape ---- */

void ft_shape_init(struct ft_shape *shape) {
  *shape = (struct ft_shape){0};
  ft_names_init(&shape->keys);
}

void ft_shape_free(struct ft_shape *shape) {
  ft_names_free(&shape->keys);
}

bool ft_shape_add(struct ft_shape *shape, const char *key, size_t len, int use) {
  if (len == 0 || len > FT_SHAPE_MAX_KEY) return false;
  int place = ft_names_place(&shape->keys, key, len);
  if (place == 0) {
    if (shape->keys.count == FT_SHAPE_MAX_KEYS || !ft_names_add(&shape->keys, key, len))
      return false;
    place = shape->keys.count;
  }
  shape->uses[place - 1] |= (unsigned char)use;
  return true;
}

static int use_of(const struct ft_shape *shape, const struct ft_json *s) {
  char plain[6 * FT_SHAPE_MAX_KEY];
  const char *key = s->start;
  size_t len = s->len;
  if (s->escaped) {
    if (len > sizeof plain) return 0;
    len = ft_json_unescape(plain, key, len);
    key = plain;
  }
  int place = ft_names_place(&shape->keys, key, len);
  return place ? shape->uses[place - 1] : 0;
}

/* ---- writing ---- */

void ft_skeleton_init(struct ft_skeleton *k) {
  *k = (struct ft_skeleton){0};
  ft_buf_init(&k->text, LIMIT);
  ft_buf_init(&k->scratch, LIMIT);
  ft_buf_init(&k->names, LIMIT);
  ft_json_init(&k->scan);
  ft_json_init(&k->inner);
}

void ft_skeleton_free(struct ft_skeleton *k) {
  ft_buf_free(&k->text);
  ft_buf_free(&k->scratch);
  ft_buf_free(&k->names);
  ft_json_free(&k->scan);
  ft_json_free(&k->inner);
  free(k->links);
  k->links = NULL;
  k->nlinks = k->links_cap = 0;
}

/* A value is followed by a comma, which closing an array or object takes back. These are the hot
 * path of a scan of short rows, so they do not go through ft_buf's adders. */
static inline char *room(struct ft_skeleton *k, size_t len) {
  struct ft_buf *b = &k->text;
  if (b->cap - b->len <= len && ft_buf_reserve(b, len)) return NULL;
  return b->data + b->len;
}

static inline bool put_plain(struct ft_skeleton *k, const char *text, size_t len) {
  char *out = room(k, len);
  if (!out) return false;
  memcpy(out, text, len);
  k->text.len += len;
  return true;
}

#define PUT(k, literal) put_plain(k, literal, sizeof(literal) - 1)

static inline bool put_quoted(struct ft_skeleton *k, const char *bytes, size_t len, char after) {
  char *out = room(k, len + 3);
  if (!out) return false;
  *out++ = '"';
  memcpy(out, bytes, len);
  out[len] = '"';
  out[len + 1] = after;
  k->text.len += len + 3;
  return true;
}

static bool put_close(struct ft_skeleton *k, char bracket) {
  if (k->text.failed) return false;
  if (k->text.data[k->text.len - 1] == ',') k->text.len--;
  char end[] = {bracket, ','};
  return put_plain(k, end, 2);
}

/* ---- strings ---- */

/* Behind the white space, escaped or not, that a string begins with. */
static const char *skip_blank(const char *p, const char *end) {
  for (;;) {
    if (p < end && *p == ' ') {
      p++;
    } else if (end - p >= 2 && p[0] == '\\' && p[1] != '\0' && strchr("nrtf", p[1])) {
      p += 2;
    } else {
      return p;
    }
  }
}

/* The bytes that the current string means, in place or in scratch; NULL: no memory. */
static const char *meaning(struct ft_skeleton *k, size_t *len) {
  const struct ft_json *s = &k->scan;
  *len = s->len;
  if (!s->escaped) return s->start;
  ft_buf_reset(&k->scratch);
  if (ft_buf_reserve(&k->scratch, s->len)) return NULL;
  *len = ft_json_unescape(k->scratch.data, s->start, s->len);
  return k->scratch.data;
}

static bool put_value(struct ft_skeleton *k) {
  const struct ft_json *s = &k->scan;
  size_t n = s->len;
  if (n <= FT_SHAPE_MAX_VALUE) return put_quoted(k, s->start, n, ',');
  const char *cut = memchr(s->start, '\\', FT_SHAPE_MAX_VALUE);
  n = cut ? (size_t)(cut - s->start) : FT_SHAPE_MAX_VALUE;
  while (n > 0 && ((unsigned char)s->start[n] & 0xC0) == 0x80) n--;
  return ft_buf_addf(&k->text, "\"%.*s…\",", (int)n, s->start) == 0;
}

struct ft_link {
  size_t start, len; /* in names */
  size_t number;
  int space;
  uint64_t hash;
  size_t next; /* index plus one of the next link in the bucket */
  size_t first;
};

static uint64_t hash_of(const char *p, size_t len) {
  uint64_t h = UINT64_C(14695981039346656037);
  for (size_t i = 0; i < len; i++) h = (h ^ (unsigned char)p[i]) * UINT64_C(1099511628211);
  return h ^ h >> 29;
}

/* As many buckets as there is room for links: the bucket's first link is kept in the links' own
 * `first`, so that one array is enough. */
static bool grow_links(struct ft_skeleton *k) {
  if (k->nlinks < k->links_cap) return true;
  size_t cap = k->links_cap ? 2 * k->links_cap : 64;
  struct ft_link *links = realloc(k->links, cap * sizeof *links);
  if (!links) return false;
  k->links = links;
  k->links_cap = cap;
  for (size_t i = 0; i < cap; i++) links[i].first = 0;
  for (size_t i = 0; i < k->nlinks; i++) {
    size_t *bucket = &links[links[i].hash & (cap - 1)].first;
    links[i].next = *bucket;
    *bucket = i + 1;
  }
  return true;
}

static void forget_links(struct ft_skeleton *k) {
  for (size_t i = 0; i < k->nlinks; i++) k->links[k->links[i].hash & (k->links_cap - 1)].first = 0;
  k->nlinks = k->numbers[0] = k->numbers[1] = 0;
  ft_buf_reset(&k->names);
}

/* The number of a string, from 1; 0: no memory. */
static size_t link_of(struct ft_skeleton *k, int space, const char *p, size_t len) {
  if (!grow_links(k)) return 0;
  uint64_t hash = hash_of(p, len);
  size_t *bucket = &k->links[hash & (k->links_cap - 1)].first;
  for (size_t i = *bucket; i; i = k->links[i - 1].next) {
    const struct ft_link *l = &k->links[i - 1];
    if (l->hash == hash && l->space == space && l->len == len &&
        memcmp(k->names.data + l->start, p, len) == 0)
      return l->number;
  }
  struct ft_link *l = &k->links[k->nlinks];
  l->start = k->names.len;
  l->len = len;
  l->hash = hash;
  l->next = *bucket;
  if (ft_buf_add(&k->names, p, len)) return 0;
  l->space = space;
  l->number = ++k->numbers[space];
  *bucket = ++k->nlinks;
  return l->number;
}

static bool is_word(const char *p, size_t len) {
  if (len > WORD_MAX) return false;
  for (size_t i = 0; i < len; i++) {
    char c = p[i];
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
          c == '-'))
      return false;
  }
  return true;
}

static bool put_link(struct ft_skeleton *k, int space) {
  size_t len;
  const char *p = meaning(k, &len);
  size_t number = p ? link_of(k, space, p, len) : 0;
  if (number == 0) return false;
  char digits[24], *first = digits + sizeof digits;
  if (!is_word(p, len)) *--first = '!';
  do *--first = (char)('0' + number % 10);
  while (number /= 10);
  return put_quoted(k, first, (size_t)(digits + sizeof digits - first), ',');
}

static bool put_head(struct ft_skeleton *k, const struct ft_shape *shape) {
  size_t len;
  const char *text = meaning(k, &len);
  if (!text) return false;
  size_t n = len < FT_SHAPE_MAX_VALUE ? len : FT_SHAPE_MAX_VALUE;
  const char *end = memchr(text, ',', n);
  if (!end) end = memchr(text, ':', n);
  n = end ? (size_t)(end - text) + 1 : 0;
  for (size_t i = 0; i < n; i++) { /* what would need an escape is no head */
    if (text[i] <= ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\') n = 0;
  }
  const char *mark = len > shape->long_bytes ? "!" : "";
  return ft_buf_addf(&k->text, "\"%.*s%s\",", (int)n, text, mark) == 0;
}

static bool put_json(struct ft_skeleton *k, const char *first) {
  size_t len;
  char bracket = *first;
  const char *text = meaning(k, &len);
  enum ft_json_token token;
  if (!text) return false;
  ft_json_start(&k->inner, text, len);
  do token = ft_json_next(&k->inner);
  while (token > FT_JSON_END);
  if (token == FT_JSON_END) return put_quoted(k, first, 1, ',');
  if (strcmp(k->inner.code, "memory") == 0) return false;
  return ft_buf_addf(&k->text, "\"!%c%s:%zu\",", bracket, k->inner.code, k->inner.offset) == 0;
}

static bool put_string(struct ft_skeleton *k, const struct ft_shape *shape, int use) {
  const struct ft_json *s = &k->scan;
  const char *end = s->start + s->len;
  if (s->len == 0) return PUT(k, "\"\",");
  if (use & FT_SHAPE_VALUE) return put_value(k);
  if (use & (FT_SHAPE_LINK | FT_SHAPE_LINK2)) return put_link(k, (use & FT_SHAPE_LINK2) != 0);
  if (use & FT_SHAPE_HEAD) return put_head(k, shape);
  const char *first = skip_blank(s->start, end);
  if (first == end) return PUT(k, "\" \",");
  if ((use & FT_SHAPE_JSON) && (*first == '{' || *first == '[')) return put_json(k, first);
  return PUT(k, "\"x\",");
}

static bool put_number(struct ft_skeleton *k, int use) {
  const struct ft_json *s = &k->scan;
  char digits[NUMBER_MAX + 1];
  if (!(use & FT_SHAPE_VALUE)) return PUT(k, "0,");
  if (s->len > NUMBER_MAX) return PUT(k, "1e300,");
  memcpy(digits, s->start, s->len);
  digits[s->len] = '\0';
  if (!isfinite(strtod(digits, NULL))) return PUT(k, "1e300,");
  return ft_buf_addf(&k->text, "%s,", digits) == 0;
}

/* ---- the walk ---- */

/* Passes over what a closed key's object or array holds. */
static enum ft_json_token put_closed(struct ft_skeleton *k, bool object) {
  int depth = k->scan.depth - 1;
  enum ft_json_token token = ft_json_next(&k->scan);
  bool empty = token == FT_JSON_OBJECT_END || token == FT_JSON_ARRAY_END;
  while (token > FT_JSON_END && k->scan.depth > depth) token = ft_json_next(&k->scan);
  if (token <= FT_JSON_END) return token;
  if (empty)
    put_plain(k, object ? "{}," : "[],", 3);
  else if (object)
    PUT(k, "{\"\":0},");
  else
    PUT(k, "[0],");
  return token;
}

static enum ft_json_token no_memory(struct ft_skeleton *k) {
  ft_skeleton_free(k);
  ft_skeleton_init(k); /* a buffer that failed is good for nothing */
  k->scan.code = "memory";
  k->scan.message = "not enough memory";
  return FT_JSON_FAULT;
}

enum ft_json_token ft_skeleton_make(struct ft_skeleton *k, const struct ft_shape *shape,
                                    const char *text, size_t len, bool sound) {
  enum ft_json_token token;
  int use = FT_SHAPE_OPEN; /* of the value that comes */
  ft_buf_reset(&k->text);
  forget_links(k);
  ft_json_start(&k->scan, text, len);
  k->scan.sound = sound;
  while ((token = ft_json_next(&k->scan)) > FT_JSON_END) {
    bool object = token == FT_JSON_OBJECT;
    switch (token) {
    case FT_JSON_KEY:
      put_quoted(k, k->scan.start, k->scan.len, ':');
      use = use_of(shape, &k->scan);
      continue;
    case FT_JSON_STRING:
      if (!put_string(k, shape, use)) return no_memory(k);
      break;
    case FT_JSON_INTEGER:
    case FT_JSON_NUMBER:
      put_number(k, use);
      break;
    case FT_JSON_TRUE:
      PUT(k, "true,");
      break;
    case FT_JSON_FALSE:
      PUT(k, "false,");
      break;
    case FT_JSON_NULL:
      PUT(k, "null,");
      break;
    case FT_JSON_OBJECT:
    case FT_JSON_ARRAY:
      if (use & FT_SHAPE_OPEN) {
        put_plain(k, object ? "{" : "[", 1);
        k->uses[k->scan.depth] = (unsigned char)use; /* items of an array share their key's use */
        continue;
      }
      if (put_closed(k, object) <= FT_JSON_END) return FT_JSON_FAULT;
      break;
    default:
      put_close(k, token == FT_JSON_OBJECT_END ? '}' : ']');
    }
    if (k->text.failed) return no_memory(k);
    use = k->uses[k->scan.depth];
  }
  if (token == FT_JSON_END) k->text.len--; /* the last comma */
  return token;
}

/* Any bytes as JSON: the scanner reads nothing outside of them, ends, says where the fault is, and
 * agrees with slow and plain rules about UTF-8, escapes and duplicate keys. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../bindings/jsonscan.h"
#include "../../bindings/jsonstring.h"

enum { KEYS = 64 };

static void must(int condition) {
  if (!condition) abort();
}

/* Decodes one character the slow way; its length, or 0. */
static size_t decode(const unsigned char *p, size_t left) {
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  size_t n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
  if (n < 2 || n > left) return n == 1;
  uint32_t c = p[0] & (0x7Fu >> n);
  for (size_t i = 1; i < n; i++) {
    if (p[i] >> 6 != 2) return 0;
    c = c << 6 | (p[i] & 63);
  }
  return c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF) ? 0 : n;
}

static void check_plain(const char *text, size_t size) {
  const unsigned char *p = (const unsigned char *)text;
  size_t i = 0;
  while (i < size && p[i] >= 0x20 && p[i] != '"' && p[i] != '\\') {
    size_t n = decode(p + i, size - i);
    must(ft_utf8_length(text + i, text + size) == n);
    if (n == 0) break;
    i += n;
  }
  must(ft_json_plain(text, size) == i);
  char *copy = malloc(size + 1);
  must(copy != NULL && ft_json_copy(copy, text, size) == i && memcmp(copy, text, i) == 0);
  free(copy);
}

/* The keys seen, with the object that has them. */
static struct {
  int object;
  char *bytes;
  size_t len;
} keys[KEYS];
static size_t nkeys;

/* What a string token means, in memory of exactly its size. */
static char *meaning(const struct ft_json *s, size_t *len) {
  char *out = malloc(s->len + 1);
  must(out != NULL);
  *len = ft_json_unescape(out, s->start, s->len);
  must(*len <= s->len && s->escaped == (memchr(s->start, '\\', s->len) != NULL));
  for (size_t i = 0; i < *len;) {
    size_t n = decode((unsigned char *)out + i, *len - i);
    must(n > 0);
    i += n;
  }
  return out;
}

static void add_key(int object, const struct ft_json *s) {
  size_t len;
  char *bytes = meaning(s, &len);
  for (size_t i = 0; i < nkeys; i++)
    must(keys[i].object != object || keys[i].len != len || memcmp(keys[i].bytes, bytes, len) != 0);
  if (nkeys == KEYS) {
    free(bytes);
    return;
  }
  keys[nkeys].object = object;
  keys[nkeys].bytes = bytes;
  keys[nkeys++].len = len;
}

static void scan(struct ft_json *s, const char *text, size_t size) {
  int objects = 0, stack[FT_JSON_MAX_DEPTH + 1] = {0};
  enum ft_json_token token;
  ft_json_start(s, text, size);
  while ((token = ft_json_next(s)) > FT_JSON_END) {
    must(s->start >= text && s->start + s->len <= text + size && s->depth <= FT_JSON_MAX_DEPTH);
    if (token == FT_JSON_OBJECT) stack[s->depth] = ++objects;
    if (token == FT_JSON_KEY) add_key(stack[s->depth], s);
    if (token == FT_JSON_STRING) {
      size_t len;
      free(meaning(s, &len));
    }
  }
  must(ft_json_next(s) == token);
  if (token == FT_JSON_FAULT)
    must(s->offset <= size && s->code && s->message);
  else
    must(s->depth == 0);
  while (nkeys) free(keys[--nkeys].bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct ft_json s;
  static int started;
  if (!started) ft_json_init(&s);
  started = 1;
  char *text = malloc(size ? size : 1); /* so that a sanitizer sees each byte read too much */
  must(text != NULL);
  memcpy(text, data, size);
  check_plain(text, size);
  scan(&s, text, size);
  free(text);
  return 0;
}

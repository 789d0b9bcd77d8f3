/* Any bytes as a row: making a skeleton ends, reads nothing outside, and agrees with the scanner
 * about what is JSON; the skeleton is JSON itself and has no bytes that need not be there; faults
 * that are passed over come in order. The first byte chooses which keys have which use. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../bindings/known.h"
#include "../../bindings/skeleton.h"

static void must(int condition) {
  if (!condition) abort();
}

static enum ft_json_token scan(struct ft_json *s, const char *text, size_t len) {
  enum ft_json_token token;
  ft_json_start(s, text, len);
  do token = ft_json_next(s);
  while (token > FT_JSON_END);
  return token;
}

static void add(struct ft_shape *shape, const char *key, int use) {
  must(ft_shape_add(shape, key, strlen(key), use));
}

static void make_shape(struct ft_shape *shape, unsigned choice) {
  static const char *const keys[] = {"messages", "content", "role", "id", "url", "weight", "a", ""};
  static const int uses[] = {FT_SHAPE_OPEN, FT_SHAPE_VALUE, FT_SHAPE_LINK,
                             FT_SHAPE_JSON, FT_SHAPE_HEAD,  FT_SHAPE_LINK2};
  ft_shape_init(shape);
  shape->long_bytes = choice;
  must(!ft_shape_add(shape, "", 0, FT_SHAPE_OPEN));
  add(shape, "messages", FT_SHAPE_OPEN);
  for (int i = 0; keys[i][0]; i++) add(shape, keys[i], uses[(choice + (unsigned)i) % 6]);
}

/* Passes over faults; each is behind the one before. */
static void pass_faults(struct ft_json *s, size_t size) {
  for (size_t last = s->offset, n = 0; ft_json_recover(s); n++) {
    enum ft_json_token token;
    do token = ft_json_next(s);
    while (token > FT_JSON_END);
    must(n <= size);
    if (token == FT_JSON_END) break;
    must(s->offset >= last && s->offset <= size);
    last = s->offset;
  }
}

static void remember(struct ft_known *known, const struct ft_buf *text) {
  bool fresh, again;
  int number = ft_known_find(known, text->data, text->len, &fresh);
  must(number > 0 && number == ft_known_find(known, text->data, text->len, &again) && !again);
  if (fresh) must(!ft_known_marked(known, number));
  ft_known_mark(known, number);
  must(ft_known_marked(known, number));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct ft_skeleton skeleton;
  static struct ft_json plain;
  static struct ft_known known;
  static int started;
  if (size == 0) return 0;
  if (!started) {
    ft_skeleton_init(&skeleton);
    ft_json_init(&plain);
    ft_known_init(&known);
  }
  started = 1;
  struct ft_shape shape;
  make_shape(&shape, data[0]);
  char *text =
      malloc(size > 1 ? size - 1 : 1); /* so that a sanitizer sees each byte read too much */
  must(text != NULL);
  memcpy(text, data + 1, --size);
  enum ft_json_token token = ft_skeleton_make(&skeleton, &shape, text, size, false);
  must(token == scan(&plain, text, size));
  if (token == FT_JSON_END) {
    must(scan(&plain, skeleton.text.data, skeleton.text.len) == FT_JSON_END);
    remember(&known, &skeleton.text);
    struct ft_skeleton again; /* without a look at the strings' bytes */
    ft_skeleton_init(&again);
    must(ft_skeleton_make(&again, &shape, text, size, true) == FT_JSON_END);
    must(again.text.len == skeleton.text.len);
    must(memcmp(again.text.data, skeleton.text.data, again.text.len) == 0);
    ft_skeleton_free(&again);
  } else {
    must(strcmp(skeleton.scan.code, plain.code) == 0 && skeleton.scan.offset == plain.offset);
    pass_faults(&skeleton.scan, size);
  }
  free(text);
  ft_shape_free(&shape);
  return 0;
}

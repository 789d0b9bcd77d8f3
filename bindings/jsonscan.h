/* Strict JSON scanner: RFC 8259 and UTF-8 to the letter, no duplicate keys, at most
 * FT_JSON_MAX_DEPTH levels. It pulls tokens out of bytes that the caller keeps, copies nothing,
 * knows no Lua, and takes linear time and memory bounded by the keys of the objects that are open
 * at once.
 *
 *   ft_json_start(&s, text, len);
 *   while ((token = ft_json_next(&s)) > FT_JSON_END) use(token);
 *   FT_JSON_END: the text is one whole value and nothing else
 */
#ifndef FT_JSONSCAN_H
#define FT_JSONSCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "jsonkeys.h"

enum { FT_JSON_MAX_DEPTH = 512 };

enum ft_json_token {
  FT_JSON_FAULT,
  FT_JSON_END,
  FT_JSON_OBJECT,
  FT_JSON_OBJECT_END,
  FT_JSON_ARRAY,
  FT_JSON_ARRAY_END,
  FT_JSON_KEY,
  FT_JSON_STRING,
  FT_JSON_INTEGER, /* a number without fraction and exponent, of any length */
  FT_JSON_NUMBER,
  FT_JSON_TRUE,
  FT_JSON_FALSE,
  FT_JSON_NULL,
};

struct ft_json {
  /* The current token: its bytes in the text, for keys and strings those between the quotes. */
  const char *start;
  size_t len;
  bool escaped; /* key or string: holds a backslash, so see ft_json_unescape in jsonstring.h */

  /* The fault, after FT_JSON_FAULT: a stable word ("syntax", "utf8", ..., see dataset.check;
   * "memory" when there is too little), a text that lives for ever, and the offset of the first
   * wrong byte. */
  const char *code, *message;
  size_t offset;

  /* Open objects and arrays, the outermost first. To be read only. */
  int depth;
  struct {
    bool object;
    size_t first_key;
  } levels[FT_JSON_MAX_DEPTH];

  /* Set after ft_json_start for a text that was found valid before: strings are passed over without
   * a look at their bytes, three times as fast. */
  bool sound;

  /* private */
  const char *text, *p, *end;
  const char *resume; /* where ft_json_recover goes on; NULL: nowhere */
  int expect, after_fault;
  struct ft_json_keys keys; /* of the open objects */
};

/* An empty scanner; allocates nothing. One scanner may scan many texts, and keeps its memory
 * between them. */
void ft_json_init(struct ft_json *s);
void ft_json_free(struct ft_json *s);

/* Begins a text, which must stay until the last token was used. Whatever was scanned before is
 * forgotten. */
void ft_json_start(struct ft_json *s, const char *text, size_t len);

/* The next token. After FT_JSON_END and FT_JSON_FAULT it gives the same again. */
enum ft_json_token ft_json_next(struct ft_json *s);

/* After a fault that leaves no doubt about what follows (inside a string, a key for the second
 * time): passes over it, so that the next fault can be found. False: there is no way on. The tokens
 * behind a fault are good for nothing else. */
bool ft_json_recover(struct ft_json *s);

#endif

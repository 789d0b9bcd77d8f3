/* The skeleton of a JSON text: a short JSON text that has the structure without the contents. Rows
 * that a set of rules cannot tell apart have the same skeleton, so a verdict on one of them counts
 * for all. Knows no key: the caller names those whose values matter, and how. Knows no Lua.
 *
 * Keys and literals stay. Objects and arrays are walked into at the top and where FT_SHAPE_OPEN
 * says so; elsewhere {} and [] stay, others become {"":0} and [0]. A number becomes 0, a string "",
 * " " (white space only) or "x", unless the use of its key, or of the key of the array that it
 * stands in, says more. */
#ifndef FT_SKELETON_H
#define FT_SKELETON_H

#include <stdbool.h>
#include <stddef.h>

#include "../host/buf.h"
#include "jsonscan.h"
#include "names.h"

enum { /* uses of keys */
       FT_SHAPE_OPEN = 1,
       /* Numbers and strings stay. A string of more than FT_SHAPE_MAX_VALUE bytes is cut and ends
        * in "…"; a number that is too long or too large becomes 1e300. */
       FT_SHAPE_VALUE = 2,
       /* Strings become "1", "2", ...: the same number for the same string, in the order of their
        * first occurrence; "1!" when it is no word of at most 64 of A-Z a-z 0-9 _ - */
       FT_SHAPE_LINK = 4,
       /* A string that begins like a JSON object or array becomes "{" or "[" when it is one, else
        * "!{CODE:OFFSET" or "![...": the fault and its place in the text. */
       FT_SHAPE_JSON = 8,
       /* The bytes up to the first ',' (or else ':') among the first FT_SHAPE_MAX_VALUE stay, and
        * "!" follows them when the string has more than `long_bytes` bytes. */
       FT_SHAPE_HEAD = 16,
       /* As FT_SHAPE_LINK, numbered apart from those. */
       FT_SHAPE_LINK2 = 32,
};

enum {
  FT_SHAPE_MAX_KEYS = 64,
  FT_SHAPE_MAX_KEY = 32, /* bytes of a key that may be named */
  FT_SHAPE_MAX_VALUE = 64,
};

/* What matters. Filled by ft_shape_add; read only afterwards. */
struct ft_shape {
  size_t long_bytes;
  struct ft_names keys;
  unsigned char uses[FT_SHAPE_MAX_KEYS]; /* of the keys, by place */
};

void ft_shape_init(struct ft_shape *shape);
void ft_shape_free(struct ft_shape *shape);

/* Adds a use to a key. False: too long a key, too many, or no memory. */
bool ft_shape_add(struct ft_shape *shape, const char *key, size_t len, int use);

struct ft_skeleton {
  struct ft_buf text;  /* the skeleton, after success */
  struct ft_json scan; /* of the row: has the fault, and goes on behind it */

  /* private */
  struct ft_json inner;
  struct ft_buf scratch; /* an unescaped string */
  struct ft_buf names;   /* the linked strings of the row, one after another */
  struct ft_link *links;
  size_t nlinks, links_cap, numbers[2];
  unsigned char uses[FT_JSON_MAX_DEPTH + 1];
};

void ft_skeleton_init(struct ft_skeleton *k);
void ft_skeleton_free(struct ft_skeleton *k);

/* Makes the skeleton of a text, which must stay as long as k->scan is used; sound: see jsonscan.h.
 * FT_JSON_END, or FT_JSON_FAULT with the fault in k->scan. */
enum ft_json_token ft_skeleton_make(struct ft_skeleton *k, const struct ft_shape *shape,
                                    const char *text, size_t len, bool sound);

#endif

/* Which texts of a JSON row are counted, and what is added for being there: a tree that Lua
 * describes (see tokenizer.shape in lua/ftrun/meta/tokenizer.lua), so that no key is named in C. */
#ifndef FT_TOKENSHAPE_H
#define FT_TOKENSHAPE_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

#include "../host/buf.h"
#include "bpe.h"
#include "jsonscan.h"

#define FT_TOKENIZER_SHAPE "ft.tokenizer.Shape"

struct ft_shape;

/* A long string that rows repeat at one place, such as a system prompt, and its tokens. */
struct ft_memo {
  char *bytes; /* as it stands in the row; NULL: none */
  size_t len;
  int64_t tokens;
  uint64_t print; /* of the last row's string here: only what comes again is kept */
};

enum { FT_MEMOS = 8 };

/* What one thread counts with; all zero but for what its owner makes. */
struct ft_counter {
  struct ft_bpe *bpe;
  struct ft_json json;
  struct ft_buf text;             /* strings without their escapes */
  struct ft_memo memos[FT_MEMOS]; /* by the string's place among those that count */
};

enum { FT_ROW_MEMORY = -1, FT_ROW_JSON = -2 };

/* Tokens of a row, FT_ROW_MEMORY, or FT_ROW_JSON: it is no JSON. sound: see jsonscan.h. */
int64_t ft_shape_count(const struct ft_shape *s, struct ft_counter *c, const char *row, size_t len,
                       bool sound);

/* Forgets the memos. */
void ft_counter_forget(struct ft_counter *c);

/* tokenizer.shape, as a function for Lua, and its type. */
int ft_tokenizer_shape(lua_State *L);
void ft_tokenizer_shape_type(lua_State *L); /* [-0, +0, m] */

#endif

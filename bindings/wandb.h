/* What the parts of the W&B binding share: protobuf by hand. */
#ifndef FT_WANDB_H
#define FT_WANDB_H

#include <lua.h>
#include <stdint.h>

#include "../host/buf.h"

enum ft_wandb_wire { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 };

/* The buffer that the module keeps as first upvalue of its functions, empty. */
struct ft_buf *ft_wandb_scratch(lua_State *L);

void ft_wandb_put_varint(struct ft_buf *b, uint64_t v);

/* items(values, list, key, value): see lua/ftrun/meta/wandb.lua. */
int ft_wandb_items(lua_State *L);

#endif

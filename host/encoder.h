/* What writes a Lua value as bytes, for callers that need not know how: a userdata whose metatable
 * is FT_ENCODER and which begins with this struct. */
#ifndef FT_ENCODER_H
#define FT_ENCODER_H

#include <lua.h>
#include <stddef.h>

#define FT_ENCODER "ft.Encoder"

struct ft_encoder {
  /* The bytes of the value at index, which stay until the next call; NULL: it cannot be written.
   * The value may stand in any state. May raise there; leaves its stack as it was. */
  const char *(*encode)(struct ft_encoder *self, lua_State *L, int index, size_t *len);
};

#endif

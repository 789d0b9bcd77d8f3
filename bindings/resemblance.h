/* An index of sketches that finds for each new text the one it resembles, in constant time: texts
 * are put into buckets by bands of their sketches, and only texts that share a bucket are compared,
 * at most FT_RESEMBLANCE_SEEN of them. Memory: some 300 bytes a text, up to a limit; when it is
 * reached, new texts are still compared, but no longer kept. Texts of different kinds are never
 * compared. Knows no Lua. */
#ifndef FT_RESEMBLANCE_H
#define FT_RESEMBLANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sketch.h"

enum { FT_RESEMBLANCE_SEEN = 64 };

struct ft_resemblance {
  uint8_t (*sketch)[FT_SKETCH]; /* owned; count of cap are in use */
  int64_t *label;               /* owned; the caller's name of each text */
  uint32_t *kind;               /* owned; the caller's too */
  uint32_t *slot;               /* owned; slots of them, a power of two */
  size_t count, cap, slots, used;
  size_t limit; /* bytes */
  bool full;
};

void ft_resemblance_init(struct ft_resemblance *r, size_t limit_bytes);
void ft_resemblance_free(struct ft_resemblance *r); /* idempotent */

/* Bytes allocated. */
size_t ft_resemblance_bytes(const struct ft_resemblance *r);

/* The number of the kept text of this kind that is most similar, at least `least` (of equal ones
 * the first), with the similarity; -1: none. */
int64_t ft_resemblance_find(const struct ft_resemblance *r, const uint8_t *sketch, uint32_t kind,
                            double least, double *similarity);

/* Keeps a text. 0; 1: the limit is reached, it is not kept; -1: no memory, likewise. */
int ft_resemblance_keep(struct ft_resemblance *r, const uint8_t *sketch, uint32_t kind,
                        int64_t label);

#endif

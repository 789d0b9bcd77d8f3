/* A list of names, and the place of each in it: the order in which the keys of objects are written.
 * Knows no Lua. */
#ifndef FT_KEYORDER_H
#define FT_KEYORDER_H

#include <stdbool.h>
#include <stddef.h>

#include "../host/buf.h"

enum { FT_KEYORDER_MAX = 200, FT_KEYORDER_SLOTS = 512 };

struct ft_keyorder {
  struct ft_buf bytes; /* of the names, one after another */
  struct {
    size_t at, len;
  } names[FT_KEYORDER_MAX];
  int count;
  unsigned char slots[FT_KEYORDER_SLOTS]; /* place from 1, by a hash of the name; 0: empty */
};

void ft_keyorder_init(struct ft_keyorder *order);
void ft_keyorder_reset(struct ft_keyorder *order); /* no names */
void ft_keyorder_free(struct ft_keyorder *order);

/* Adds a name behind the others; of a name that is there the first place counts. At most
 * FT_KEYORDER_MAX times. False: no memory. */
bool ft_keyorder_add(struct ft_keyorder *order, const char *name, size_t len);

/* From 1; 0: it is not there. */
int ft_keyorder_place(const struct ft_keyorder *order, const char *name, size_t len);

#endif

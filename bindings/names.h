/* A list of names, and the place of each in it: what is known of a key of JSON is found by it.
 * Knows no Lua. */
#ifndef FT_NAMES_H
#define FT_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "../host/buf.h"

enum { FT_NAMES_MAX = 200, FT_NAMES_SLOTS = 512 };

struct ft_names {
  struct ft_buf bytes; /* of the names, one after another */
  struct {
    size_t at, len;
  } names[FT_NAMES_MAX];
  int count;
  unsigned char slots[FT_NAMES_SLOTS]; /* place from 1, by a hash of the name; 0: empty */
};

void ft_names_init(struct ft_names *n);
void ft_names_reset(struct ft_names *n); /* no names */
void ft_names_free(struct ft_names *n);

/* Adds a name behind the others; of a name that is there the first place counts. At most
 * FT_NAMES_MAX times. False: no memory. */
bool ft_names_add(struct ft_names *n, const char *name, size_t len);

/* From 1; 0: it is not there. */
int ft_names_place(const struct ft_names *n, const char *name, size_t len);

#endif

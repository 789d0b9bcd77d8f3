#include "names.h"

#include <string.h>

enum { BYTES_MAX = 1 << 20 };

/* The slot of a name, or the empty one where it belongs: there are more slots than names. */
static size_t slot_of(const struct ft_names *n, const char *name, size_t len) {
  size_t slot = len * 31;
  if (len)
    slot += (unsigned char)name[0] * 7u + (unsigned char)name[len - 1] * 13u +
            (unsigned char)name[len / 2] * 3u;
  for (slot %= FT_NAMES_SLOTS; n->slots[slot]; slot = (slot + 1) % FT_NAMES_SLOTS) {
    int i = n->slots[slot] - 1;
    if (n->names[i].len == len && memcmp(n->bytes.data + n->names[i].at, name, len) == 0) break;
  }
  return slot;
}

void ft_names_init(struct ft_names *n) {
  *n = (struct ft_names){0};
  ft_buf_init(&n->bytes, BYTES_MAX);
}

void ft_names_reset(struct ft_names *n) {
  ft_names_free(n);
  ft_names_init(n);
}

void ft_names_free(struct ft_names *n) {
  ft_buf_free(&n->bytes);
}

bool ft_names_add(struct ft_names *n, const char *name, size_t len) {
  size_t slot = slot_of(n, name, len);
  if (n->slots[slot]) {
    n->count++;
    return true;
  }
  n->names[n->count].at = n->bytes.len;
  n->names[n->count].len = len;
  if (ft_buf_add(&n->bytes, name, len)) return false;
  n->slots[slot] = (unsigned char)++n->count;
  return true;
}

int ft_names_place(const struct ft_names *n, const char *name, size_t len) {
  return n->slots[slot_of(n, name, len)];
}

#include "keyorder.h"

#include <string.h>

enum { BYTES_MAX = 1 << 20 };

/* The slot of a name, or the empty one where it belongs: there are more slots than names. */
static size_t slot_of(const struct ft_keyorder *order, const char *name, size_t len) {
  size_t slot = len * 31;
  if (len)
    slot += (unsigned char)name[0] * 7u + (unsigned char)name[len - 1] * 13u +
            (unsigned char)name[len / 2] * 3u;
  for (slot %= FT_KEYORDER_SLOTS; order->slots[slot]; slot = (slot + 1) % FT_KEYORDER_SLOTS) {
    int i = order->slots[slot] - 1;
    if (order->names[i].len == len &&
        memcmp(order->bytes.data + order->names[i].at, name, len) == 0)
      break;
  }
  return slot;
}

void ft_keyorder_init(struct ft_keyorder *order) {
  *order = (struct ft_keyorder){0};
  ft_buf_init(&order->bytes, BYTES_MAX);
}

void ft_keyorder_reset(struct ft_keyorder *order) {
  ft_keyorder_free(order);
  ft_keyorder_init(order);
}

void ft_keyorder_free(struct ft_keyorder *order) {
  ft_buf_free(&order->bytes);
}

bool ft_keyorder_add(struct ft_keyorder *order, const char *name, size_t len) {
  size_t slot = slot_of(order, name, len);
  if (order->slots[slot]) {
    order->count++;
    return true;
  }
  order->names[order->count].at = order->bytes.len;
  order->names[order->count].len = len;
  if (ft_buf_add(&order->bytes, name, len)) return false;
  order->slots[slot] = (unsigned char)++order->count;
  return true;
}

int ft_keyorder_place(const struct ft_keyorder *order, const char *name, size_t len) {
  return order->slots[slot_of(order, name, len)];
}

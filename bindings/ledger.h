/* A map from 64-bit hashes to two 32-bit integers, 16 bytes a slot, for a number of rows that Lua
 * tables would be too large for. Bounded: when the limit is reached, nothing new is kept. Knows no
 * Lua. */
#ifndef FT_LEDGER_H
#define FT_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ft_ledger_entry {
  uint64_t hash; /* 0: empty; the hash 0 itself is filed as 1 */
  uint32_t a, b;
};

struct ft_ledger {
  struct ft_ledger_entry *entry; /* owned; slots of them, a power of two */
  size_t count, slots, limit;    /* limit: bytes */
  bool full;
};

void ft_ledger_init(struct ft_ledger *l, size_t limit_bytes);
void ft_ledger_free(struct ft_ledger *l); /* idempotent */

/* What was put first under this hash; or NULL, and the values are now kept (unless the ledger is
 * full, or out of memory, which fills it). The entry may be changed, and stays until the next call.
 */
struct ft_ledger_entry *ft_ledger_put(struct ft_ledger *l, uint64_t hash, uint32_t a, uint32_t b);

#endif

#include "ledger.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 1024 };

void ft_ledger_init(struct ft_ledger *l, size_t limit_bytes) {
  memset(l, 0, sizeof *l);
  l->limit = limit_bytes;
}

void ft_ledger_free(struct ft_ledger *l) {
  free(l->entry);
  ft_ledger_init(l, l->limit);
}

/* The slot of the hash, or the empty one where it belongs. */
static struct ft_ledger_entry *find(const struct ft_ledger *l, uint64_t hash) {
  size_t i = (size_t)(hash ^ hash >> 32) & (l->slots - 1);
  while (l->entry[i].hash != 0 && l->entry[i].hash != hash) i = (i + 1) & (l->slots - 1);
  return &l->entry[i];
}

static bool grow(struct ft_ledger *l) {
  struct ft_ledger bigger = *l;
  bigger.slots = l->slots ? 2 * l->slots : FIRST_SLOTS;
  if (bigger.slots * sizeof *l->entry > l->limit) return false;
  bigger.entry = calloc(bigger.slots, sizeof *l->entry);
  if (!bigger.entry) return false;
  for (size_t i = 0; i < l->slots; i++)
    if (l->entry[i].hash) *find(&bigger, l->entry[i].hash) = l->entry[i];
  free(l->entry);
  *l = bigger;
  return true;
}

struct ft_ledger_entry *ft_ledger_put(struct ft_ledger *l, uint64_t hash, uint32_t a, uint32_t b) {
  if (hash == 0) hash = 1;
  struct ft_ledger_entry *e = l->slots ? find(l, hash) : NULL;
  if (e && e->hash) return e;
  if (l->full) return NULL;
  if ((l->count + 1) * 4 > l->slots * 3) {
    if (!grow(l)) {
      l->full = true;
      return NULL;
    }
    e = find(l, hash);
  }
  *e = (struct ft_ledger_entry){.hash = hash, .a = a, .b = b};
  l->count++;
  return NULL;
}

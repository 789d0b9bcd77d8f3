#include "resemblance.h"

#include <stdlib.h>
#include <string.h>

/* Sixteen bands of six bins: texts of similarity 0.7 share a band with probability 0.87, of 0.8
 * with 0.99, of 0.5 with 0.22, of 0.3 with 0.01. */
enum {
  BANDS = 16,
  ROWS = 6,
  PER_BUCKET = 8, /* texts that one bucket keeps: more of the same would only cost time */
  FIRST_CAP = 128,
  TAG_BITS = 8,
  TEXT_BITS = 32 - TAG_BITS,
};

static const uint32_t EMPTY = UINT32_MAX;

/* A slot: the tag of its band, to pass by most strangers without a look at their sketch, and the
 * number of its text. */
struct place {
  size_t slot;
  uint32_t tag;
};

static struct place place(const struct ft_resemblance *r, const uint8_t *sketch, uint32_t kind,
                          unsigned band) {
  uint64_t h = 0;
  for (int i = 0; i < ROWS; i++) h = h << 8 | sketch[band * ROWS + i];
  h = ft_mix64((h << 8 | band) + ft_mix64(kind));
  return (struct place){.slot = (size_t)h & (r->slots - 1),
                        .tag = (uint32_t)(h >> (64 - TAG_BITS))};
}

void ft_resemblance_init(struct ft_resemblance *r, size_t limit_bytes) {
  memset(r, 0, sizeof *r);
  r->limit = limit_bytes;
}

void ft_resemblance_free(struct ft_resemblance *r) {
  free(r->sketch);
  free(r->label);
  free(r->kind);
  free(r->slot);
  ft_resemblance_init(r, r->limit);
}

static size_t bytes(size_t cap, size_t slots) {
  return cap * (FT_SKETCH + sizeof(int64_t) + sizeof(uint32_t)) + slots * sizeof(uint32_t);
}

size_t ft_resemblance_bytes(const struct ft_resemblance *r) {
  return bytes(r->cap, r->slots);
}

int64_t ft_resemblance_find(const struct ft_resemblance *r, const uint8_t *sketch, uint32_t kind,
                            double least, double *similarity) {
  uint32_t seen[FT_RESEMBLANCE_SEEN];
  int nseen = 0;
  int64_t best = -1;
  if (r->slots == 0) return -1;
  for (unsigned band = 0; band < BANDS; band++) {
    struct place at = place(r, sketch, kind, band);
    for (size_t i = at.slot; r->slot[i] != EMPTY; i = (i + 1) & (r->slots - 1)) {
      uint32_t text = r->slot[i] & ((1u << TEXT_BITS) - 1);
      if (r->slot[i] >> TEXT_BITS != at.tag || r->kind[text] != kind) continue;
      int k = 0;
      while (k < nseen && seen[k] != text) k++;
      if (k < nseen) continue;
      if (nseen == FT_RESEMBLANCE_SEEN) return best;
      seen[nseen++] = text;
      double s = ft_sketch_similarity(sketch, r->sketch[text]);
      if (s < least || (best >= 0 && (s < *similarity || (s == *similarity && text > best))))
        continue;
      best = text;
      *similarity = s;
    }
  }
  return best;
}

static void file_in(struct ft_resemblance *r, uint32_t text) {
  for (unsigned band = 0; band < BANDS; band++) {
    struct place at = place(r, r->sketch[text], r->kind[text], band);
    int same = 0;
    size_t i = at.slot;
    for (; r->slot[i] != EMPTY; i = (i + 1) & (r->slots - 1))
      if (r->slot[i] >> TEXT_BITS == at.tag) same++;
    if (same >= PER_BUCKET) continue;
    r->slot[i] = at.tag << TEXT_BITS | text;
    r->used++;
  }
}

/* The slots for cap texts: at most four fifths are ever in use. */
static size_t slots_for(size_t cap) {
  size_t slots = 1;
  while (slots * 4 / 5 < cap * BANDS) slots *= 2;
  return slots;
}

/* Room for one more text, by doubling. */
static int grow(struct ft_resemblance *r) {
  size_t cap = r->cap ? 2 * r->cap : FIRST_CAP, slots = slots_for(cap);
  /* the last step may be a short one: as many as the slots that are there can hold */
  if (r->cap && bytes(cap, slots) > r->limit) {
    slots = r->slots;
    cap = slots * 4 / 5 / BANDS;
    if (cap <= r->cap) return 1;
  }
  if (bytes(cap, slots) > r->limit || cap >= 1u << TEXT_BITS) return 1;
  void *sketch = realloc(r->sketch, cap * FT_SKETCH);
  if (!sketch) return -1;
  r->sketch = sketch;
  int64_t *label = realloc(r->label, cap * sizeof *label);
  if (!label) return -1;
  r->label = label;
  uint32_t *kind = realloc(r->kind, cap * sizeof *kind);
  if (!kind) return -1;
  r->kind = kind;
  if (slots != r->slots) {
    uint32_t *slot = malloc(slots * sizeof *slot);
    if (!slot) return -1;
    free(r->slot);
    r->slot = slot;
    r->slots = slots;
    r->used = 0;
    memset(slot, 0xFF, slots * sizeof *slot);
    for (size_t i = 0; i < r->count; i++) file_in(r, (uint32_t)i);
  }
  r->cap = cap;
  return 0;
}

int ft_resemblance_keep(struct ft_resemblance *r, const uint8_t *sketch, uint32_t kind,
                        int64_t label) {
  if (r->full) return 1;
  if (r->count == r->cap) {
    int failed = grow(r);
    if (failed) {
      r->full = failed > 0;
      return failed;
    }
  }
  memcpy(r->sketch[r->count], sketch, FT_SKETCH);
  r->label[r->count] = label;
  r->kind[r->count] = kind;
  file_in(r, (uint32_t)r->count++);
  return 0;
}

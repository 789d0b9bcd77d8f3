#include "features.h"

#include <math.h>
#include <stdlib.h>

static uint32_t mix(uint32_t a, uint32_t b) {
  return ft_words_mix(a, b);
}

static size_t add(struct ft_feature *out, size_t n, uint32_t template, uint32_t what, float value) {
  if (n == FT_FEATURES) return n;
  out[n].hash = mix(template, what);
  out[n].value = value;
  return n + 1;
}

/* The word d places from i, numbers alike; constants beyond the text's ends. */
static uint32_t key_at(const struct ft_words *w, int64_t i) {
  return i < 0 ? 11 : i >= w->count ? 13 : w->word[i].key;
}

/* The same, marked when it begins a line. */
static uint32_t mark_at(const struct ft_words *w, int64_t i) {
  uint32_t key = key_at(w, i);
  if (i < 0 || i >= w->count) return key;
  const struct ft_word *x = &w->word[i];
  return x->flags & FT_WORD_FIRST    ? mix(key, x->flags & FT_WORD_PARAGRAPH ? 3 : 1)
         : x->flags & FT_WORD_SPACED ? mix(key, 2)
                                     : key;
}

static uint32_t bucket(uint32_t n) {
  uint32_t b = 0;
  if (n < 6) return n;
  while (n > 5) n >>= 1, b++;
  return 8 + b;
}

enum { LOOK_LINES = 400, HEAD_LINES = 8 };

/* Word i is a numeral near its line's start: how does it go on from the nearest line, before (step
 * -1) or after (step 1), that begins in the same way? 0: there is none, 1: by one, 2: the same, 3:
 * forward, 4: backward. */
static uint32_t goes_on(const struct ft_words *w, uint32_t i, int step) {
  const struct ft_word *x = &w->word[i];
  if (!(x->flags & FT_WORD_DIGITS) || x->column > 2) return 5;
  for (int64_t l = (int64_t)x->line + step, n = 0; l >= 0 && l < w->lines && n < LOOK_LINES;
       l += step, n++) {
    uint32_t other = w->line[l] + x->column, c = 0;
    if (other >= w->line[l + 1] || !(w->word[other].flags & FT_WORD_DIGITS)) continue;
    while (c < x->column && w->word[other - c - 1].key == w->word[i - c - 1].key) c++;
    if (c < x->column) continue;
    int64_t by = ((int64_t)w->word[i].value - w->word[other].value) * -step;
    return by == 1 ? 1 : by == 0 ? 2 : by > 0 ? 3 : 4;
  }
  return 0;
}

size_t ft_features_word(const struct ft_words *w, uint32_t i, struct ft_feature *out) {
  const struct ft_word *x = &w->word[i];
  int64_t at = i;
  size_t n = 0;
  uint32_t m[7];
  for (int d = -3; d <= 3; d++) m[d + 3] = mark_at(w, at + d);
  n = add(out, n, 1, 0, 1);
  for (int d = -6; d <= 6; d++) n = add(out, n, 20 + (uint32_t)(d + 6), key_at(w, at + d), 1);
  for (int d = 0; d < 7; d++) n = add(out, n, 40 + (uint32_t)d, m[d], 1);
  for (int d = 1; d < 5; d++) n = add(out, n, 50 + (uint32_t)d, mix(m[d], m[d + 1]), 1);
  n = add(out, n, 60, mix(m[2], m[4]), 1);
  n = add(out, n, 61, mix(mix(m[2], m[3]), m[4]), 1);
  n = add(out, n, 62, mix(mix(m[3], m[4]), m[5]), 1);
  n = add(out, n, 63, mix(mix(m[1], m[2]), m[3]), 1);
  for (int d = -2; d <= 2; d++)
    if (at + d >= 0 && at + d < w->count) {
      const struct ft_word *y = &w->word[at + d];
      n = add(out, n, 70 + (uint32_t)(d + 2), y->shape, 1);
      n = add(out, n, 80 + (uint32_t)(d + 2), y->prefix, 1);
      n = add(out, n, 90 + (uint32_t)(d + 2), y->suffix, 1);
    }
  uint32_t column = x->column < 4 ? x->column : 4 + (x->column > 8);
  uint32_t first = w->line[x->line], after = w->line[x->line + 1];
  uint32_t nested = x->flags & (FT_WORD_BRACE | FT_WORD_PAREN | FT_WORD_QUOTE);
  n = add(out, n, 100, column, 1);
  n = add(out, n, 101, mix(column, m[3]), 1);
  n = add(out, n, 102, mix(column, key_at(w, first)), 1);
  n = add(out, n, 103, first > 0 ? key_at(w, w->line[x->line - 1]) : 17, 1);
  n = add(out, n, 104, mix(column == 0, key_at(w, (int64_t)first - 1)), 1);
  n = add(out, n, 105, key_at(w, after), 1);
  n = add(out, n, 106, nested, 1);
  n = add(out, n, 107, mix(nested, m[2]), 1);
  n = add(out, n, 108, x->hash, 1);
  n = add(out, n, 109, bucket(x->line), 1);
  uint32_t before = goes_on(w, i, -1), behind = goes_on(w, i, 1);
  n = add(out, n, 110, before, 1);
  n = add(out, n, 111, behind, 1);
  n = add(out, n, 112, mix(mix(before, behind), m[2]), 1);
  n = add(out, n, 113, mix(mix(before, behind), m[4]), 1);
  for (uint32_t l = 0; l < HEAD_LINES && l < w->lines; l++) { /* what kind of text is it? */
    uint32_t opening = mix(key_at(w, w->line[l]), key_at(w, (int64_t)w->line[l] + 1));
    n = add(out, n, 114, mix(opening, mix(m[2], column)), 1);
  }
  return n;
}

size_t ft_features_step(const struct ft_words *w, uint32_t i, uint32_t first, uint32_t last,
                        struct ft_feature *out) {
  int64_t at = i;
  size_t n = 0;
  uint32_t m[6], far = bucket(i - first), gap = i > last ? bucket(i - last) : 0;
  for (int d = -2; d <= 3; d++) m[d + 2] = mark_at(w, at + d);
  const struct ft_word *x = &w->word[i];
  uint32_t lines = x->line - w->word[first].line;
  if (lines > 3) lines = 3;
  n = add(out, n, 200, 0, 1);
  for (int d = 0; d < 6; d++) n = add(out, n, 210 + (uint32_t)d, m[d], 1);
  for (int d = 1; d < 5; d++) n = add(out, n, 220 + (uint32_t)d, mix(m[d], m[d + 1]), 1);
  n = add(out, n, 230, mix(m[1], m[3]), 1);
  n = add(out, n, 231, mix(mix(m[1], m[2]), m[3]), 1);
  n = add(out, n, 232, mix(mix(m[2], m[3]), m[4]), 1);
  n = add(out, n, 240, far, 1);
  n = add(out, n, 241, mix(far, m[2]), 1);
  n = add(out, n, 242, mix(far, m[3]), 1);
  n = add(out, n, 243, mix(gap, m[2]), 1);
  n = add(out, n, 244, mix(w->word[first].key, far), 1);
  n = add(out, n, 245, mix(lines, i + 1 < w->count ? w->word[i + 1].flags & 12 : 64), 1);
  n = add(out, n, 246, mix(lines, x->flags & 12), 1);
  n = add(out, n, 247, x->flags & 0xE0, 1);
  for (int d = -1; d <= 1; d++)
    if (at + d >= 0 && at + d < w->count) {
      n = add(out, n, 250 + (uint32_t)(d + 1), w->word[at + d].shape, 1);
      n = add(out, n, 255 + (uint32_t)(d + 1), w->word[at + d].suffix, 1);
    }
  n = add(out, n, 260, mix(m[1], mix(m[2], far)), 1);
  return n;
}

size_t ft_features_span(const struct ft_words *w, uint32_t first, uint32_t last,
                        struct ft_feature *out) {
  const struct ft_word *x = &w->word[first];
  int64_t a = first, b = last;
  size_t n = 0;
  n = add(out, n, 300, 0, 1);
  for (int d = 1; d <= 6; d++) {
    n = add(out, n, 310 + (uint32_t)d, key_at(w, a - d), 1);
    n = add(out, n, 320 + (uint32_t)d, key_at(w, b + d), 1);
  }
  for (int d = 1; d <= 16; d++) n = add(out, n, 330, key_at(w, a - d), 0.5f);
  for (int d = 1; d <= 8; d++) n = add(out, n, 331, key_at(w, b + d), 0.5f);
  for (int d = 0; d <= 3; d++) {
    n = add(out, n, 340 + (uint32_t)d, mix(mark_at(w, a - d - 1), mark_at(w, a - d)), 1);
    n = add(out, n, 345 + (uint32_t)d, mix(mark_at(w, b + d), mark_at(w, b + d + 1)), 1);
  }
  n = add(out, n, 350, x->shape, 1);
  n = add(out, n, 351, x->hash, 1);
  n = add(out, n, 352, w->word[last].hash, 1);
  n = add(out, n, 353, w->word[last].suffix, 1);
  n = add(out, n, 354, bucket(last - first), 1);
  n = add(out, n, 355, x->flags, 1);
  n = add(out, n, 356, x->flags & 0xE0, 1);
  n = add(out, n, 357, bucket(x->line), 1);
  n = add(out, n, 358, x->column < 4 ? x->column : 4, 1);
  n = add(out, n, 359, key_at(w, w->line[x->line]), 1);
  n = add(out, n, 360, x->line ? key_at(w, w->line[x->line - 1]) : 17, 1);
  for (int64_t i = 0; i < 24;
       i++) { /* the head of the text, alone and with the brackets around the span */
    uint32_t pair = mix(key_at(w, i), key_at(w, i + 1));
    n = add(out, n, 370, pair, 0.4f);
    n = add(out, n, 371, mix(pair, x->flags & FT_WORD_BRACE), 0.4f);
  }
  return n;
}

static int by_hash(const void *a, const void *b) {
  uint32_t x = ((const struct ft_feature *)a)->hash, y = ((const struct ft_feature *)b)->hash;
  return (x > y) - (x < y);
}

/* What counts most in a text: how much was found in it, its title (mostly the first line), its
 * opening, its words. */
static const float COUNT = 4, TITLE = 2, OPENING = 0.3f, BODY = 1, DIVISION = 1, LENGTH = 0.1f;

enum { HEAD = 40, STEPS = 24 };

size_t ft_features_text_room(const struct ft_words *w, size_t counts) {
  return w->count + 3 * HEAD + (counts + 5) * STEPS + 2;
}

/* A number as the thresholds that it reaches, so that a linear model can learn an order. */
static size_t add_number(struct ft_feature *out, size_t n, uint32_t template, uint32_t number,
                         float value) {
  static const uint32_t threshold[STEPS] = {0,  1,   2,   3,   4,   5,    6,    8,
                                            10, 12,  15,  20,  25,  30,   40,   50,
                                            75, 100, 200, 400, 800, 1600, 3200, 6400};
  for (uint32_t s = 0; s < STEPS && threshold[s] <= number; s++) {
    out[n].hash = mix(template, s);
    out[n++].value = value;
  }
  return n;
}

size_t ft_features_text(const struct ft_words *w, const uint32_t *count, size_t counts, float scale,
                        struct ft_feature *out) {
  size_t n = 0;
  for (uint32_t i = 0; i < HEAD && i < w->count; i++) {
    const struct ft_word *x = &w->word[i];
    const float value = x->line == 0 ? TITLE : OPENING;
    if (x->flags & FT_WORD_MARK) continue;
    out[n].hash = mix(400, x->stem), out[n++].value = value;
    out[n].hash = mix(403, x->prefix), out[n++].value = value;
    out[n].hash = mix(401, mix(key_at(w, i), key_at(w, (int64_t)i + 1))), out[n++].value = value;
  }
  struct ft_feature *stem = out + n; /* each stem once */
  size_t found = 0, distinct = 0;
  for (uint32_t i = 0; i < w->count; i++)
    if (!(w->word[i].flags & (FT_WORD_MARK | FT_WORD_DIGITS)))
      stem[found++].hash = mix(402, w->word[i].stem);
  qsort(stem, found, sizeof *stem, by_hash);
  for (size_t i = 0; i < found; i++)
    if (i == 0 || stem[i].hash != stem[distinct - 1].hash) stem[distinct++].hash = stem[i].hash;
  for (size_t i = 0; i < distinct; i++) stem[i].value = BODY / sqrtf((float)distinct);
  n += distinct;
  n = add_number(out, n, 410, w->count, LENGTH);
  n = add_number(out, n, 411, w->lines, LENGTH);
  uint32_t numbered = 0, named = 0, paragraphs = 0; /* how is it divided? */
  for (uint32_t l = 0; l < w->lines; l++) {
    const struct ft_word *x = &w->word[w->line[l]];
    paragraphs += (x->flags & FT_WORD_PARAGRAPH) != 0;
    if (x->flags & FT_WORD_DIGITS)
      numbered++;
    else if (w->line[l] + 1 < w->line[l + 1] && x[1].flags & FT_WORD_DIGITS)
      named++;
  }
  n = add_number(out, n, 412, numbered, DIVISION);
  n = add_number(out, n, 413, named, DIVISION);
  n = add_number(out, n, 414, paragraphs, LENGTH);
  for (size_t c = 0; c < counts; c++) n = add_number(out, n, 420 + (uint32_t)c, count[c], COUNT);
  out[n].hash = mix(430, 0), out[n++].value = 1;
  for (size_t i = 0; i < n; i++) out[i].value *= scale;
  return n;
}

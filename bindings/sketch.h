/* A text as a short sketch: how much of their wording two texts share can be read from their
 * sketches alone. Knows no Lua.
 *
 * The text is cut into words (letters and digits of any script; case, marks and white space do not
 * count; where scripts put no spaces, each character is a word), the words into runs of
 * FT_SKETCH_RUN. One hash of each run goes into one of FT_SKETCH bins, which keeps its smallest;
 * empty bins borrow from full ones in an order that all texts share. The share of bins that agree
 * estimates the Jaccard similarity of the two sets of runs: 0.7 is seen as 0.62 to 0.78 nineteen
 * times out of twenty. Time is linear in the text, memory constant. */
#ifndef FT_SKETCH_H
#define FT_SKETCH_H

#include <stddef.h>
#include <stdint.h>

enum {
  FT_SKETCH = 128,      /* bytes of a sketch, one a bin */
  FT_SKETCH_RUN = 3,    /* words that count together */
  FT_SKETCH_SHORT = 20, /* a text of fewer words is one run: only the same words resemble it */
};

/* Writes the sketch of any bytes; returns the number of words. A text without words gets a sketch
 * of its bytes. */
size_t ft_sketch(uint8_t out[FT_SKETCH], const char *text, size_t len);

/* The estimated similarity, 0 to 1. */
double ft_sketch_similarity(const uint8_t *a, const uint8_t *b);

/* A hash of bytes: good enough to tell texts apart by 64 bits, no defence against forgery. The same
 * on every machine. */
uint64_t ft_hash64(const void *bytes, size_t len, uint64_t seed);

/* Spreads every bit of x over all bits. */
uint64_t ft_mix64(uint64_t x);

#endif

/* Hashed features of places in a text: what the learner sees. Knows no Lua and no class. */
#ifndef FT_FEATURES_H
#define FT_FEATURES_H

#include "words.h"

struct ft_feature {
  uint32_t hash;
  float value;
};

enum { FT_FEATURES = 160 }; /* most features of one place */

/* Features of word i in its window: words, shapes, line starts, brackets. Returns how many were
 * written. */
size_t ft_features_word(const struct ft_words *w, uint32_t i, struct ft_feature *out);

/* Does something begin or end at word i, when it belongs to the span [first, last] before or around
 * it? */
size_t ft_features_step(const struct ft_words *w, uint32_t i, uint32_t first, uint32_t last,
                        struct ft_feature *out);

/* What kind of thing is the span [first, last]? Looks farther than a window, and at the head of the
 * text. */
size_t ft_features_span(const struct ft_words *w, uint32_t first, uint32_t last,
                        struct ft_feature *out);

/* The whole text, its features multiplied by scale. `counts` are numbers known about it besides
 * (how many things were found). `out` has room for ft_features_text_room() features. */
size_t ft_features_text_room(const struct ft_words *w, size_t counts);
size_t ft_features_text(const struct ft_words *w, const uint32_t *count, size_t counts, float scale,
                        struct ft_feature *out);

#endif

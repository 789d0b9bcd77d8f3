/* A vocabulary: which bytes are a token, and which rank (id) they have. Packed at build time by
 * vocab/pack.c from vocab/NAME.tiktoken.gz and linked in as read-only bytes, which cost nothing
 * until they are looked at. */
#ifndef FT_VOCAB_H
#define FT_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { FT_NO_RANK = UINT32_MAX >> 1, FT_FILTER_BITS = 1 << 20, FT_BRIEF = 8 };

/* A token of at most FT_BRIEF bytes: its word (ft_short_word) and length say what it is, so that
 * one look at memory is enough. len 0: an empty slot. */
struct ft_brief {
  uint64_t word;
  uint32_t rank, len;
};

/* What pack.c writes, behind one another: this head, briefs[brief_count], offsets[count + 1] into
 * bytes by rank, slots[slot_count] for the longer tokens, and bytes. A slot is 0 or rank + 1 and,
 * from bit 18, 14 bits of the token's hash.
 *   pairs: rank of each token of two bytes
 *   meet: a bit for each two bytes that some token begins with or ends in
 *   first: a bit for each token of two bytes that no longer token of lower rank begins with or ends
 *     in
 *   filter: a bit for each hash that some token has, small enough to stay near the processor */
struct ft_vocab {
  uint32_t count, longest, brief_count, slot_count;
  uint32_t pairs[65536];
  uint32_t meet[65536 / 32], first[65536 / 32];
  uint32_t filter[FT_FILTER_BITS / 32];
  struct ft_brief briefs[];
};

/* The vocabulary of an encoding ("o200k_base"), or NULL. */
const struct ft_vocab *ft_vocab_find(const char *name);

/* ---- for vocab.c, bpe.c and pack.c ---- */

static inline uint64_t ft_load8(const void *p) {
  uint64_t v;
  memcpy(&v, p, sizeof v);
  return v;
}

static inline uint32_t ft_load4(const void *p) {
  uint32_t v;
  memcpy(&v, p, sizeof v);
  return v;
}

/* The bytes of a string of at most 8 bytes as a number: with the length it says what they are. */
static inline uint64_t ft_short_word(const unsigned char *p, size_t len) {
  if (len >= 4) return ft_load4(p) | (uint64_t)ft_load4(p + len - 4) << 32;
  return len ? p[0] | (uint64_t)p[len / 2] << 8 | (uint64_t)p[len - 1] << 16 : 0;
}

static inline uint64_t ft_mix(uint64_t a, uint64_t b) {
  __extension__ unsigned __int128 product = (unsigned __int128)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Good hashes of short strings; not for foreign keys that mean harm: see ft_vocab_rank's bound. */
static inline uint64_t ft_hash_brief(uint64_t word, size_t len) {
  return ft_mix(word ^ 0x9E3779B97F4A7C15u ^ len, 0xD6E8FEB86659FD93u);
}

static inline uint64_t ft_hash(const unsigned char *p, size_t len) {
  uint64_t h = 0x9E3779B97F4A7C15u ^ len;
  if (len <= FT_BRIEF) return ft_hash_brief(ft_short_word(p, len), len);
  for (; len > 16; p += 8, len -= 8) h = ft_mix(h ^ ft_load8(p), 0xA0761D6478BD642Fu);
  return ft_mix(ft_load8(p) ^ h, ft_load8(p + len - 8) ^ 0xE7037ED1A0B428DBu);
}

enum { FT_RANK_BITS = 18 };

static inline size_t ft_filter_bit(uint64_t hash) {
  return hash >> 20 & (FT_FILTER_BITS - 1);
}

static inline const uint32_t *ft_vocab_offsets(const struct ft_vocab *v) {
  return (const uint32_t *)(v->briefs + v->brief_count);
}

static inline const uint32_t *ft_vocab_slots(const struct ft_vocab *v) {
  return ft_vocab_offsets(v) + v->count + 1;
}

static inline const unsigned char *ft_vocab_bytes(const struct ft_vocab *v) {
  return (const unsigned char *)(ft_vocab_slots(v) + v->slot_count);
}

static inline bool ft_bit(const uint32_t *bits, size_t i) {
  return bits[i / 32] >> i % 32 & 1;
}

/* The rank of the token of at most FT_BRIEF bytes that has this word, or FT_NO_RANK. The tables are
 * fixed and have gaps, so what is looked up cannot make them slow. */
static inline uint32_t ft_vocab_brief(const struct ft_vocab *v, uint64_t word, size_t len) {
  uint64_t h = ft_hash_brief(word, len);
  if (!ft_bit(v->filter, ft_filter_bit(h))) return FT_NO_RANK;
  for (size_t i = h & (v->brief_count - 1);; i = (i + 1) & (v->brief_count - 1)) {
    const struct ft_brief *b = &v->briefs[i];
    if (b->word == word && b->len == len) return b->rank;
    if (b->len == 0) return FT_NO_RANK;
  }
}

/* The same for more than FT_BRIEF bytes. */
static inline uint32_t ft_vocab_long(const struct ft_vocab *v, const unsigned char *p, size_t len) {
  uint64_t h = ft_hash(p, len);
  if (!ft_bit(v->filter, ft_filter_bit(h))) return FT_NO_RANK;
  const uint32_t *slots = ft_vocab_slots(v), *offsets = ft_vocab_offsets(v);
  uint32_t mark = (uint32_t)(h >> (64 - 32 + FT_RANK_BITS));
  for (size_t i = h & (v->slot_count - 1);; i = (i + 1) & (v->slot_count - 1)) {
    uint32_t slot = slots[i];
    if (slot == 0) return FT_NO_RANK;
    if (slot >> FT_RANK_BITS != mark) continue;
    uint32_t rank = (slot & ((1u << FT_RANK_BITS) - 1)) - 1, at = offsets[rank];
    if (offsets[rank + 1] - at == len && memcmp(ft_vocab_bytes(v) + at, p, len) == 0) return rank;
  }
}

/* The rank of the token that is these bytes, of which there is at least one, or FT_NO_RANK. */
static inline uint32_t ft_vocab_rank(const struct ft_vocab *v, const unsigned char *p, size_t len) {
  if (len <= FT_BRIEF) return ft_vocab_brief(v, ft_short_word(p, len), len);
  return len > v->longest ? FT_NO_RANK : ft_vocab_long(v, p, len);
}

#endif

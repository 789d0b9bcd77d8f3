#include "bpe.h"

#include <stdbool.h>
#include <stdlib.h>

#include "jsonstring.h"
#include "split.h"
#include "vocab.h"

/* Words repeat, so the counts of pieces are kept: in sets of WAYS entries, side by side in memory,
 * where the oldest gives way. Longer pieces, such as the rules of tables, have a table of their
 * own; those longer than LONG are merged each time. */
enum { KEPT = 30, WAYS = 4, AHEAD = 32, SHORT = 96, FEW = 16, NEVER = INT32_MAX };
enum { LONG = 252, LONG_ENTRIES = 2048 };

/* A piece of at most KEPT bytes, with zeros behind them, its length and its count: 0 for a piece
 * that is looked for, all 0 for an empty entry. */
union entry {
  uint64_t words[4];
  struct {
    uint8_t bytes[KEPT], count, len;
  };
};

struct long_entry {
  uint16_t len, count; /* len 0: empty */
  unsigned char bytes[LONG];
};

struct ft_bpe {
  const struct ft_vocab *vocab;
  ft_split_fn *split;
  void *memory;
  union entry *cache;       /* in memory, on the bounds of sets */
  size_t entries;           /* a power of two */
  struct long_entry *longs; /* NULL until one comes */
  /* for long pieces */
  struct link *links;
  uint64_t *heap;
  size_t cap;
};

struct ft_bpe *ft_bpe_new(const char *encoding, size_t cache_bytes) {
  const struct ft_vocab *vocab = ft_vocab_find(encoding);
  struct ft_bpe *b = vocab ? calloc(1, sizeof *b) : NULL;
  if (!b) return NULL;
  b->vocab = vocab;
  b->split = strcmp(encoding, "o200k_base") == 0 ? ft_split_o200k : ft_split_cl100k;
  b->entries = 64;
  while (2 * b->entries * sizeof *b->cache <= cache_bytes) b->entries *= 2;
  /* calloc, for memory that costs nothing until it is touched */
  size_t set = WAYS * sizeof *b->cache;
  b->memory = calloc(b->entries / WAYS + 1, set);
  b->cache = (union entry *)(((uintptr_t)b->memory + set - 1) & ~(uintptr_t)(set - 1));
  if (b->memory) return b;
  free(b);
  return NULL;
}

void ft_bpe_free(struct ft_bpe *b) {
  if (!b) return;
  free(b->memory);
  free(b->longs);
  free(b->links);
  free(b->heap);
  free(b);
}

/* ---- merging ---- */

/* Four numbers at once; compilers make the best of it that the machine has. */
typedef int32_t four __attribute__((vector_size(16)));

/* The least of n numbers, n a multiple of 8. */
static inline int32_t least_of(const int32_t *list, size_t n) {
  four a, b, c, d, mask;
  memcpy(&a, list, sizeof a);
  memcpy(&b, list + 4, sizeof b);
  for (size_t i = 8; i < n; i += 8) {
    memcpy(&c, list + i, sizeof c);
    memcpy(&d, list + i + 4, sizeof d);
    mask = a < c;
    a = (a & mask) | (c & ~mask);
    mask = b < d;
    b = (b & mask) | (d & ~mask);
  }
  mask = a < b;
  a = (a & mask) | (b & ~mask);
  int32_t x = a[0] < a[1] ? a[0] : a[1], y = a[2] < a[3] ? a[2] : a[3];
  return x < y ? x : y;
}

/* The same one by one: vectors would have to wait for numbers that were written just before. */
static inline int32_t least_of_few(const int32_t *list, size_t n) {
  int32_t x = NEVER, y = NEVER;
  for (size_t i = 0; i < n; i += 4) {
    int32_t a = list[i] < list[i + 1] ? list[i] : list[i + 1];
    int32_t b = list[i + 2] < list[i + 3] ? list[i + 2] : list[i + 3];
    x = a < x ? a : x;
    y = b < y ? b : y;
  }
  return x < y ? x : y;
}

/* The parts of a short piece: the i-th begins at at[i], and the next of those that are left is
 * next[i]. At the end of all is part `count`. */
struct parts {
  size_t count;
  uint8_t at[SHORT + 1], next[SHORT], prev[SHORT + 1];
};

/* The rank of parts i up to k as one token and the first of them, in one number, so that the least
 * of these is the pair to merge. */
static inline int32_t ordered(const struct ft_vocab *v, const unsigned char *p,
                              const struct parts *s, size_t i, size_t k) {
  uint32_t rank = ft_vocab_rank(v, p + s->at[i], (size_t)s->at[k] - s->at[i]);
  return rank == FT_NO_RANK ? NEVER : (int32_t)(rank << 7 | i);
}

/* Whether the two bytes at i become a token whatever else is merged. They do when no other token
 * could take one of them: none that ends in the byte before and the first, none that begins with
 * the second and the byte behind. Doing it at once changes nothing when no token of lower rank can
 * be made of the two. Mostly these are the two bytes of a letter. */
static inline bool is_sure(const struct ft_vocab *v, const unsigned char *p, size_t i, size_t len) {
  size_t pair = (size_t)p[i] << 8 | p[i + 1];
  return ft_bit(v->first, pair) && !(i && ft_bit(v->meet, (size_t)p[i - 1] << 8 | p[i])) &&
         !(i + 2 < len && ft_bit(v->meet, (size_t)p[i + 1] << 8 | p[i + 2]));
}

/* Merges the pair of least rank, the leftmost of equals, until none is left. Returns how many parts
 * are. For a short piece: looking for the least again and again costs less than keeping an order.
 */
static size_t merge_short(const struct ft_vocab *v, const unsigned char *p, size_t len,
                          struct parts *s) {
  int32_t order[SHORT]; /* of part i joined with its next */
  size_t n = 0;
  for (size_t i = 0; i < len; n++) {
    s->at[n] = (uint8_t)i;
    i += i + 1 < len && is_sure(v, p, i, len) ? 2 : 1;
  }
  s->count = n;
  s->at[n] = (uint8_t)len;
  for (size_t i = 0; i < n; i++) {
    s->next[i] = (uint8_t)(i + 1);
    s->prev[i] = (uint8_t)(i - 1);
  }
  size_t parts = n, padded = (n + 7) & ~(size_t)7;
  for (size_t i = 0; i + 1 < n; i++) order[i] = ordered(v, p, s, i, i + 2);
  for (size_t i = n - 1; i < padded; i++) order[i] = NEVER;
  for (;;) {
    int32_t least = padded <= FEW ? least_of_few(order, padded) : least_of(order, padded);
    if (least == NEVER) return parts;
    size_t i = (size_t)least & 127, gone = s->next[i], next = s->next[gone];
    parts--;
    order[gone] = NEVER;
    s->next[i] = (uint8_t)next;
    s->prev[next] = (uint8_t)i;
    order[i] = next < n ? ordered(v, p, s, i, s->next[next]) : NEVER;
    if (i) order[s->prev[i]] = ordered(v, p, s, s->prev[i], next);
  }
}

/* A part of a long piece, at the offset where it starts. */
struct link {
  uint32_t next, prev, rank; /* rank: of this part joined with the next; or of none */
};

/* A heap of rank << 32 | offset. What is no longer true is recognised when it comes up. */
static void sift_down(uint64_t *heap, size_t n, size_t i) {
  uint64_t item = heap[i];
  for (size_t child; (child = 2 * i + 1) < n; i = child) {
    if (child + 1 < n && heap[child + 1] < heap[child]) child++;
    if (item <= heap[child]) break;
    heap[i] = heap[child];
  }
  heap[i] = item;
}

static void push(uint64_t *heap, size_t n, uint64_t item) {
  size_t i = n;
  for (; i && heap[(i - 1) / 2] > item; i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
  heap[i] = item;
}

static bool reserve(struct ft_bpe *b, size_t len) {
  if (len <= b->cap) return true;
  free(b->links);
  free(b->heap);
  b->cap = 0;
  b->links = len < UINT32_MAX ? malloc((len + 1) * sizeof *b->links) : NULL;
  b->heap = b->links ? malloc(2 * len * sizeof *b->heap) : NULL;
  if (!b->heap) return false;
  b->cap = len;
  return true;
}

static uint32_t joined(const struct ft_vocab *v, const unsigned char *p, const struct link *links,
                       uint32_t at, size_t len) {
  uint32_t next = links[at].next;
  return next == len ? FT_NO_RANK : ft_vocab_rank(v, p + at, links[next].next - at);
}

/* The same for a long piece, in n log n; the parts are the links from 0 on. Returns how many, or 0:
 * no memory. */
static size_t merge_long(struct ft_bpe *b, const unsigned char *p, size_t len) {
  if (!reserve(b, len)) return 0;
  struct link *links = b->links;
  size_t parts = len, n = 0;
  for (uint32_t i = 0; i < len; i++) {
    uint32_t rank = i + 1 < len ? b->vocab->pairs[p[i] << 8 | p[i + 1]] : FT_NO_RANK;
    links[i] = (struct link){i + 1, i - 1, rank};
    if (rank != FT_NO_RANK) b->heap[n++] = (uint64_t)rank << 32 | i;
  }
  for (size_t i = n / 2; i-- > 0;) sift_down(b->heap, n, i);
  while (n) {
    uint64_t item = b->heap[0];
    uint32_t at = (uint32_t)item;
    b->heap[0] = b->heap[--n];
    if (n) sift_down(b->heap, n, 0);
    if (links[at].rank != item >> 32) continue;
    uint32_t gone = links[at].next;
    links[gone].rank = FT_NO_RANK;
    links[at].next = links[gone].next;
    if (links[at].next < len) links[links[at].next].prev = at;
    parts--;
    /* One item was taken, at most two come: at most len merges, so 2 * len items have room. */
    for (uint32_t i = at, k = 0; k < 2 && i < len; i = links[i].prev, k++) {
      links[i].rank = joined(b->vocab, p, links, i, len);
      if (links[i].rank != FT_NO_RANK) push(b->heap, n++, (uint64_t)links[i].rank << 32 | i);
    }
  }
  return parts;
}

/* ---- counting ---- */

/* How many tokens a piece has; 0: no memory. */
static size_t merge(struct ft_bpe *b, const unsigned char *p, size_t len) {
  struct parts parts;
  if (ft_vocab_rank(b->vocab, p, len) != FT_NO_RANK) return 1;
  return len <= SHORT ? merge_short(b->vocab, p, len, &parts) : merge_long(b, p, len);
}

/* A piece of at most KEPT bytes that is to be counted. */
struct piece {
  union entry key;
  const unsigned char *at;
  union entry *set; /* where it may be kept */
};

static inline void read_piece(struct ft_bpe *b, struct piece *s, const unsigned char *p, size_t len,
                              const unsigned char *end) {
  static const uint8_t window[64] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                     0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                     0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                     0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
  uint64_t *w = s->key.words;
  if (end - p >= 32) { /* reads all and takes what belongs to the piece */
    const uint8_t *mask = window + 32 - len;
    for (int i = 0; i < 4; i++) w[i] = ft_load8(p + 8 * i) & ft_load8(mask + 8 * i);
  } else {
    memset(w, 0, sizeof s->key);
    memcpy(w, p, len);
  }
  s->key.len = (uint8_t)len;
  s->at = p;
  uint64_t hash = ft_mix(w[0] ^ 0x9E3779B97F4A7C15u, w[1] ^ 0xE7037ED1A0B428DBu) ^
                  ft_mix(w[2] ^ 0xA0761D6478BD642Fu, w[3] ^ 0xD6E8FEB86659FD93u);
  s->set = &b->cache[hash & (b->entries - WAYS)];
}

/* Whether an entry is of this piece, whatever its count. */
static inline bool same(const union entry *e, const union entry *key) {
  union entry any = {.count = 0xFF};
  return ((e->words[0] ^ key->words[0]) | (e->words[1] ^ key->words[1]) |
          (e->words[2] ^ key->words[2]) | ((e->words[3] ^ key->words[3]) & ~any.words[3])) == 0;
}

static inline size_t count_piece(struct ft_bpe *b, struct piece *s) {
  union entry *set = s->set;
  int way = 0;
  for (; way < WAYS && set[way].len; way++)
    if (same(&set[way], &s->key)) return set[way].count;
  size_t n = merge(b, s->at, s->key.len);
  if (way == WAYS) memmove(set, set + 1, --way * sizeof *set);
  s->key.count = (uint8_t)n;
  set[way] = s->key;
  return n;
}

/* The same for a piece of more than KEPT bytes; 0: no memory. */
static size_t count_long(struct ft_bpe *b, const unsigned char *p, size_t len) {
  if (len > LONG) return merge(b, p, len);
  if (!b->longs) b->longs = calloc(LONG_ENTRIES, sizeof *b->longs);
  if (!b->longs) return 0;
  struct long_entry *e = &b->longs[ft_hash(p, len) & (LONG_ENTRIES - 1)];
  if (e->len == len && memcmp(e->bytes, p, len) == 0) return e->count;
  size_t n = merge(b, p, len);
  if (!n) return 0;
  memcpy(e->bytes, p, len);
  e->len = (uint16_t)len;
  e->count = (uint16_t)n;
  return n;
}

int64_t ft_bpe_count(struct ft_bpe *b, const char *text, size_t len) {
  const unsigned char *p = (const unsigned char *)text, *end = p + len;
  struct piece ahead[AHEAD]; /* read before they are needed, so that memory has time to answer */
  int64_t total = 0;
  while (p < end) {
    int n = 0;
    while (n < AHEAD && p < end) {
      const unsigned char *next = b->split(p, end);
      size_t piece = (size_t)(next - p);
      if (piece == 1) {
        total++; /* each byte is a token */
      } else if (piece <= KEPT) {
        read_piece(b, &ahead[n], p, piece, end);
        __builtin_prefetch(ahead[n].set);
        __builtin_prefetch(ahead[n++].set + WAYS / 2);
      } else {
        size_t tokens = count_long(b, p, piece);
        if (!tokens) return -1;
        total += (int64_t)tokens;
      }
      p = next;
    }
    for (int i = 0; i < n; i++) total += (int64_t)count_piece(b, &ahead[i]);
  }
  return total;
}

/* ---- encoding ---- */

int64_t ft_bpe_encode(struct ft_bpe *b, const char *text, size_t len, uint32_t *ids) {
  const unsigned char *p = (const unsigned char *)text, *end = p + len;
  uint32_t *out = ids;
  while (p < end) {
    const unsigned char *next = b->split(p, end);
    size_t size = (size_t)(next - p);
    uint32_t rank = ft_vocab_rank(b->vocab, p, size);
    if (rank != FT_NO_RANK) {
      *out++ = rank;
    } else if (size <= SHORT) {
      struct parts parts;
      merge_short(b->vocab, p, size, &parts);
      for (size_t i = 0, k; i < parts.count; i = k) {
        k = parts.next[i];
        *out++ = ft_vocab_rank(b->vocab, p + parts.at[i], (size_t)parts.at[k] - parts.at[i]);
      }
    } else {
      if (!merge_long(b, p, size)) return -1;
      for (uint32_t i = 0; i < size; i = b->links[i].next)
        *out++ = ft_vocab_rank(b->vocab, p + i, b->links[i].next - i);
    }
    p = next;
  }
  return out - ids;
}

/* ---- UTF-8 ---- */

size_t ft_bpe_valid(const char *text, size_t len) {
  const char *p = text, *end = text + len;
  while (p < end) {
    while (end - p >= 8 && !(ft_load8(p) & 0x8080808080808080u)) p += 8;
    if (p == end) break;
    size_t n = ft_utf8_length(p, end);
    if (n == 0) break;
    p += n;
  }
  return (size_t)(p - text);
}

/* How many bytes at p, where no character stands, begin one character: at least 1. */
static size_t broken(const unsigned char *p, const unsigned char *end) {
  unsigned lead = p[0], low = 0x80, high = 0xBF;
  size_t want = lead >= 0xC2 && lead < 0xE0 ? 1 : lead >= 0xE0 && lead < 0xF0 ? 2 : 3, n = 1;
  if (lead < 0xC2 || lead > 0xF4) return 1;
  if (lead == 0xE0) low = 0xA0;
  if (lead == 0xED) high = 0x9F;
  if (lead == 0xF0) low = 0x90;
  if (lead == 0xF4) high = 0x8F;
  while (n <= want && p + n < end && p[n] >= low && p[n] <= high) {
    n++;
    low = 0x80;
    high = 0xBF;
  }
  return n;
}

size_t ft_bpe_clean(char *out, const char *text, size_t len) {
  const char *end = text + len;
  char *o = out;
  while (text < end) {
    size_t n = ft_bpe_valid(text, (size_t)(end - text));
    memcpy(o, text, n);
    o += n;
    text += n;
    if (text == end) break;
    memcpy(o, "\xEF\xBF\xBD", 3);
    o += 3;
    text += broken((const unsigned char *)text, (const unsigned char *)end);
  }
  return (size_t)(o - out);
}

/* The merge against the plainest way to do it. First byte: which encoding, and how often the rest
 * is repeated; the rest: a text of any bytes. The oracle looks tokens up by binary search among all
 * of them, and merges the least pair of the whole piece until there is none. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../bindings/bpe.h"
#include "../../bindings/split.h"
#include "../../bindings/vocab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 1 << 12 };

static const char *const names[] = {"o200k_base", "cl100k_base"};
static struct ft_bpe *bpe[2];
static const struct ft_vocab *vocab;
static uint32_t *sorted[2];

static void check(int holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "%s\n", what);
  abort();
}

static const unsigned char *token(uint32_t rank, size_t *len) {
  const uint32_t *offsets = ft_vocab_offsets(vocab);
  *len = offsets[rank + 1] - offsets[rank];
  return ft_vocab_bytes(vocab) + offsets[rank];
}

static int order(const unsigned char *a, size_t a_len, const unsigned char *b, size_t b_len) {
  int by_bytes = memcmp(a, b, a_len < b_len ? a_len : b_len);
  return by_bytes ? by_bytes : (a_len > b_len) - (a_len < b_len);
}

static int by_token(const void *a, const void *b) {
  size_t a_len, b_len;
  const unsigned char *p = token(*(const uint32_t *)a, &a_len);
  const unsigned char *q = token(*(const uint32_t *)b, &b_len);
  return order(p, a_len, q, b_len);
}

static void start(void) {
  for (int i = 0; i < 2; i++) {
    bpe[i] = ft_bpe_new(names[i], 1 << 16);
    vocab = ft_vocab_find(names[i]);
    check(bpe[i] && vocab, "no encoding");
    sorted[i] = malloc(vocab->count * sizeof **sorted);
    check(sorted[i] != NULL, "no memory");
    for (uint32_t r = 0; r < vocab->count; r++) sorted[i][r] = r;
    qsort(sorted[i], vocab->count, sizeof **sorted, by_token);
  }
}

static uint32_t rank_of(const uint32_t *list, const unsigned char *p, size_t len) {
  for (size_t low = 0, high = vocab->count; low < high;) {
    size_t middle = (low + high) / 2, n;
    const unsigned char *t = token(list[middle], &n);
    int way = order(p, len, t, n);
    if (way == 0) return list[middle];
    if (way < 0)
      high = middle;
    else
      low = middle + 1;
  }
  return FT_NO_RANK;
}

/* Tokens of a piece to ids; how many. */
static size_t merge(const uint32_t *list, const unsigned char *p, size_t len, uint32_t *ids) {
  static size_t at[3 * TEXT_MAX + 1];
  static uint32_t ranks[3 * TEXT_MAX + 1]; /* of part i joined with the next */
  size_t n = len;
  for (size_t i = 0; i <= len; i++) at[i] = i;
  if (rank_of(list, p, len) != FT_NO_RANK) at[n = 1] = len;
  for (size_t i = 0; i + 2 <= n; i++) ranks[i] = rank_of(list, p + at[i], at[i + 2] - at[i]);
  for (;;) {
    size_t where = 0;
    for (size_t i = 1; i + 2 <= n; i++)
      if (ranks[i] < ranks[where]) where = i;
    if (n < 2 || ranks[where] == FT_NO_RANK) break;
    memmove(at + where + 1, at + where + 2, (n - where - 1) * sizeof *at);
    memmove(ranks + where, ranks + where + 1, (n - where - 1) * sizeof *ranks);
    n--;
    for (size_t i = where ? where - 1 : 0; i <= where && i + 2 <= n; i++)
      ranks[i] = rank_of(list, p + at[i], at[i + 2] - at[i]);
  }
  for (size_t i = 0; i < n; i++) ids[i] = rank_of(list, p + at[i], at[i + 1] - at[i]);
  return n;
}

static size_t slowly(const uint32_t *list, ft_split_fn *split, const unsigned char *p, size_t len,
                     uint32_t *ids) {
  size_t n = 0;
  for (const unsigned char *end = p + len; p < end;) {
    const unsigned char *next = split(p, end);
    n += merge(list, p, (size_t)(next - p), ids + n);
    p = next;
  }
  return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static uint32_t ids[3 * TEXT_MAX], expected[3 * TEXT_MAX];
  static char wild[TEXT_MAX], clean[3 * TEXT_MAX];
  if (!bpe[0]) start();
  if (size < 2) return 0;
  int which = data[0] & 1;
  size_t times = 1 + (data[0] >> 1) % 64, len = 0;
  size_t longest = times > 1 ? 200 : 64; /* the oracle is slow */
  for (size_t i = 0; i < times && len + size - 1 <= longest; i++, len += size - 1)
    memcpy(wild + len, data + 1, size - 1);
  vocab = ft_vocab_find(names[which]);
  len = ft_bpe_clean(clean, wild, len);
  check(ft_bpe_valid(clean, len) == len, "the cleaned text is no UTF-8");
  char *text = malloc(len ? len : 1); /* so that a sanitizer sees a read past the end */
  check(text != NULL, "no memory");
  memcpy(text, clean, len);
  int64_t n = ft_bpe_encode(bpe[which], text, len, ids);
  size_t wanted = slowly(sorted[which], which ? ft_split_cl100k : ft_split_o200k,
                         (unsigned char *)text, len, expected);
  check(n == (int64_t)wanted, "another number of tokens than the oracle's");
  check(memcmp(ids, expected, wanted * sizeof *ids) == 0, "other tokens than the oracle's");
  check(ft_bpe_count(bpe[which], text, len) == n, "the first count differs");
  check(ft_bpe_count(bpe[which], text, len) == n, "the count from the cache differs");
  free(text);
  return 0;
}

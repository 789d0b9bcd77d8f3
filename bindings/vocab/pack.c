/* Part of the build: turns the tables of this folder into bytes that are linked in.
 *
 *   pack vocabulary IN.tiktoken.gz OUT    "base64-of-token rank" a line -> struct ft_vocab
 *   pack classes IN.txt OUT               "first-last class" a line     -> struct ft_classes
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "../split.h"
#include "../vocab.h"

static _Noreturn void fail(const char *what) {
  fprintf(stderr, "pack: %s\n", what);
  exit(1);
}

static void *make(size_t size) {
  void *p = calloc(1, size);
  if (!p) fail("not enough memory");
  return p;
}

static char *read_whole(const char *path, size_t *len) {
  size_t cap = 8 << 20;
  char *text = make(cap + 1);
  gzFile file = gzopen(path, "rb");
  int n = file ? gzread(file, text, (unsigned)cap) : -1;
  if (n < 0 || (size_t)n == cap || gzclose(file) != Z_OK) fail("the input cannot be read");
  *len = (size_t)n;
  return text;
}

static void write_whole(const char *path, const void *bytes, size_t len) {
  FILE *file = fopen(path, "wb");
  if (!file || fwrite(bytes, 1, len, file) != len || fclose(file) != 0)
    fail("the output cannot be written");
}

/* ---- vocabulary ---- */

static int base64_value(char c) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const char *at = c ? strchr(digits, c) : NULL;
  return at ? (int)(at - digits) : -1;
}

/* Decodes up to the space; returns the bytes written. */
static size_t decode(const char **text, unsigned char *out) {
  size_t n = 0;
  unsigned held = 0, bits = 0;
  const char *p = *text;
  for (; *p != ' ' && *p != '='; p++) {
    int value = base64_value(*p);
    if (value < 0) fail("a line is not base64");
    held = held << 6 | (unsigned)value;
    bits += 6;
    if (bits >= 8) out[n++] = (unsigned char)(held >> (bits -= 8));
  }
  while (*p == '=') p++;
  *text = p;
  return n;
}

static void set_bit(uint32_t *bits, size_t i) {
  bits[i / 32] |= 1u << i % 32;
}

static void add_token(struct ft_vocab *v, uint32_t *slots, const unsigned char *token, size_t len,
                      uint32_t rank) {
  uint64_t h = ft_hash(token, len);
  set_bit(v->filter, ft_filter_bit(h));
  if (len == 2) v->pairs[token[0] << 8 | token[1]] = rank;
  if (len <= FT_BRIEF) {
    size_t i = h & (v->brief_count - 1);
    while (v->briefs[i].len) i = (i + 1) & (v->brief_count - 1);
    v->briefs[i] = (struct ft_brief){ft_short_word(token, len), rank, (uint32_t)len};
  } else {
    size_t i = h & (v->slot_count - 1);
    while (slots[i]) i = (i + 1) & (v->slot_count - 1);
    slots[i] = (rank + 1) | (uint32_t)(h >> (64 - 32 + FT_RANK_BITS)) << FT_RANK_BITS;
  }
}

/* Fills meet and first. Ranks rise, so whatever pair a longer token shows before the pair itself is
 * a token has a lower rank than that. */
static void note_ends(struct ft_vocab *v) {
  const uint32_t *offsets = ft_vocab_offsets(v);
  uint32_t *longer = make(sizeof v->meet);
  for (uint32_t rank = 0; rank < v->count; rank++) {
    const unsigned char *token = ft_vocab_bytes(v) + offsets[rank];
    size_t len = offsets[rank + 1] - offsets[rank];
    if (len < 2) continue;
    size_t begin = (size_t)token[0] << 8 | token[1];
    size_t end = (size_t)token[len - 2] << 8 | token[len - 1];
    set_bit(v->meet, begin);
    set_bit(v->meet, end);
    if (len > 2) {
      set_bit(longer, begin);
      set_bit(longer, end);
    } else if (!ft_bit(longer, begin)) {
      set_bit(v->first, begin);
    }
  }
  free(longer);
}

/* Room for so many tokens in a table of a power of two that stays partly empty. */
static uint32_t table_size(uint32_t tokens) {
  uint32_t n = 1;
  while (n < tokens + tokens / 2) n *= 2;
  return n;
}

/* Counts the tokens of at most FT_BRIEF bytes and the others. */
static void count_tokens(const char *p, const char *end, uint32_t *brief, uint32_t *longer) {
  unsigned char token[1024];
  *brief = *longer = 0;
  for (; p < end; p = strchr(p, '\n') + 1) {
    if (strcspn(p, " \n") > sizeof token) fail("a token is too long");
    ++*(decode(&p, token) <= FT_BRIEF ? brief : longer);
  }
}

static void pack_vocabulary(const char *in, const char *out) {
  size_t len, total = 0;
  char *text = read_whole(in, &len);
  const char *p = text, *end = p + len;
  uint32_t brief, longer;
  count_tokens(p, end, &brief, &longer);
  uint32_t count = brief + longer, brief_count = table_size(brief), slot_count = table_size(longer);
  if (count + 1 >= 1u << FT_RANK_BITS) fail("too many tokens for a slot");
  size_t size = sizeof(struct ft_vocab) + brief_count * sizeof(struct ft_brief) +
                4 * ((size_t)count + 1 + slot_count);
  struct ft_vocab *all = make(size + len);
  all->count = count;
  all->brief_count = brief_count;
  all->slot_count = slot_count;
  for (size_t i = 0; i < 65536; i++) all->pairs[i] = FT_NO_RANK;
  uint32_t *offsets = (uint32_t *)(all->briefs + brief_count), *slots = offsets + count + 1;
  unsigned char *bytes = (unsigned char *)(slots + slot_count);
  for (uint32_t rank = 0; rank < count; rank++) {
    size_t n = decode(&p, bytes + total);
    if (n == 0 || strtoul(p, (char **)&p, 10) != rank || *p++ != '\n')
      fail("lines are not in the order of ranks, or damaged");
    if (n > all->longest) all->longest = (uint32_t)n;
    offsets[rank] = (uint32_t)total;
    add_token(all, slots, bytes + total, n, rank);
    total += n;
  }
  offsets[count] = (uint32_t)total;
  note_ends(all);
  for (int c = 0; c < 256; c++) {
    unsigned char byte = (unsigned char)c;
    if (ft_vocab_rank(all, &byte, 1) == FT_NO_RANK) fail("a byte is no token");
  }
  write_whole(out, all, size + total);
  free(all);
  free(text);
}

/* ---- classes ---- */

static unsigned char class_of(char letter) {
  static const char letters[] = {[FT_UPPER] = 'U', [FT_LOWER] = 'L',  [FT_LETTER] = 'X',
                                 [FT_MARK] = 'M',  [FT_NUMBER] = 'N', [FT_SPACE] = 'S'};
  for (unsigned char c = 1; c < sizeof letters; c++)
    if (letters[c] == letter) return c;
  fail("an unknown class");
}

static void pack_classes(const char *in, const char *out) {
  size_t len;
  char *text = read_whole(in, &len), *p = text;
  unsigned char *flat = make(FT_CODE_POINTS);
  for (; *p; p = strchr(p, '\n') + 1) {
    if (*p == '#') continue;
    unsigned long first = strtoul(p, &p, 16);
    if (*p++ != '-') fail("expected first-last class");
    unsigned long last = strtoul(p, &p, 16);
    if (last >= FT_CODE_POINTS || first > last || *p++ != ' ') fail("expected first-last class");
    memset(flat + first, class_of(*p), last - first + 1);
  }
  flat['\n'] = flat['\r'] = FT_NEWLINE;
  struct ft_classes *c = make(sizeof *c + FT_CODE_POINTS);
  size_t blocks = 0, block = FT_CLASS_BLOCK;
  memcpy(c->low, flat, sizeof c->low);
  for (size_t i = 0; i < FT_CODE_POINTS / block; i++) {
    size_t same = 0;
    while (same < blocks && memcmp(c->blocks[same], flat + i * block, block) != 0) same++;
    if (same == blocks) memcpy(c->blocks[blocks++], flat + i * block, block);
    c->index[i] = (uint16_t)same;
  }
  write_whole(out, c, sizeof *c + blocks * block);
  free(c);
  free(flat);
  free(text);
}

int main(int argc, char **argv) {
  if (argc != 4) fail("usage: pack vocabulary|classes IN OUT");
  if (strcmp(argv[1], "vocabulary") == 0)
    pack_vocabulary(argv[2], argv[3]);
  else
    pack_classes(argv[2], argv[3]);
  return 0;
}

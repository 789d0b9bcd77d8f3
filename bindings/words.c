#include "words.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* One code point at p (p < end); a byte that is no UTF-8 counts as itself. */
static uint32_t code_point(const unsigned char *p, const unsigned char *end, unsigned *bytes) {
  uint32_t c = *p;
  unsigned n = c < 0xC2 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 1;
  *bytes = 1;
  if (n == 1 || (size_t)(end - p) < n) return c;
  uint32_t v = c & (0x7Fu >> n);
  for (unsigned i = 1; i < n; i++) {
    if ((p[i] & 0xC0) != 0x80) return c;
    v = v << 6 | (p[i] & 0x3F);
  }
  *bytes = n;
  return v;
}

/* Simple case folding of the alphabets in use around us. */
static uint32_t fold(uint32_t c) {
  if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
  if (c >= 0xC0 && c <= 0xDE && c != 0xD7) return c + 32;
  if ((c >= 0x100 && c <= 0x137) || (c >= 0x14A && c <= 0x177)) return c | 1;
  if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17E)) return c + (c & 1);
  if (c >= 0x391 && c <= 0x3A9) return c + 32;
  if (c >= 0x410 && c <= 0x42F) return c + 32;
  if (c >= 0x400 && c <= 0x40F) return c + 80;
  if ((c >= 0x460 && c <= 0x481) || (c >= 0x48A && c <= 0x4BF) || (c >= 0x4D0 && c <= 0x52F))
    return c | 1;
  return c;
}

enum kind { SPACE, LETTER, DIGIT, MARK, SYLLABLE };

static enum kind kind_of(uint32_t c) {
  if (c < 0x80) {
    if (c <= ' ' || c == 0x7F) return SPACE;
    if (c >= '0' && c <= '9') return DIGIT;
    return (c | 32) >= 'a' && (c | 32) <= 'z' ? LETTER : c == '_' ? LETTER : MARK;
  }
  if (c == 0xA0 || c == 0x3000 || c == 0xFEFF || (c >= 0x2000 && c <= 0x200B) || c == 0x2028 ||
      c == 0x2029 || c == 0x202F)
    return SPACE;
  if (c < 0xC0 || c == 0xD7 || c == 0xF7)
    return c == 0xAA || c == 0xB5 || c == 0xBA ? LETTER : MARK;
  if ((c >= 0x2010 && c <= 0x2BFF) || (c >= 0x3001 && c <= 0x303F) || (c >= 0xFF01 && c <= 0xFF0F))
    return MARK;
  if ((c >= 0x3040 && c <= 0x9FFF) || (c >= 0xAC00 && c <= 0xD7A3)) return SYLLABLE;
  return LETTER;
}

static bool is_apostrophe(uint32_t c) {
  return c == '\'' || c == 0x2019 || c == 0x2BC;
}

/* Reads the word at p and fills in what depends on its bytes alone. Returns the byte after it. */
static const unsigned char *read_word(struct ft_word *w, const unsigned char *p,
                                      const unsigned char *end) {
  unsigned n;
  uint32_t c = code_point(p, end, &n), hash = 1, shape = 7, tail[3] = {0, 0, 0}, letters = 0;
  enum kind first = kind_of(c);
  int last_class = -1;
  bool digits = true;
  while (p < end) {
    c = code_point(p, end, &n);
    enum kind k = kind_of(c);
    bool joint = false;
    if (letters > 0) {
      if (first == MARK || first == SYLLABLE) break;
      if (k == MARK && is_apostrophe(c) && last_class != 2 && p + n < end) {
        unsigned n2;
        joint = kind_of(code_point(p + n, end, &n2)) == LETTER;
      }
      if (k != LETTER && k != DIGIT && !joint) break;
    }
    uint32_t f = joint ? '\'' : fold(c);
    hash = ft_words_mix(hash, f);
    int class = k == DIGIT ? 2 : k == MARK ? (int)(8 + c) : f != c ? 1 : 0;
    if (class != last_class) shape = ft_words_mix(shape, (uint32_t) class);
    last_class = class;
    digits = digits && k == DIGIT;
    letters++;
    if (letters == 3) w->prefix = hash;
    if (letters == 5) w->stem = hash;
    tail[0] = tail[1], tail[1] = tail[2], tail[2] = f;
    p += n;
  }
  if (letters < 3) w->prefix = hash;
  if (letters < 5) w->stem = hash;
  w->suffix = ft_words_mix(ft_words_mix(tail[0], tail[1]), tail[2]);
  w->hash = hash;
  w->shape = shape;
  w->key = hash;
  w->flags = first == MARK ? FT_WORD_MARK : 0;
  if (digits) {
    w->flags |= FT_WORD_DIGITS;
    w->key = ft_words_mix(shape, letters < 5 ? letters : 5);
  }
  return p;
}

struct nesting {
  int brace, paren;
  bool quote;
};

/* Brackets and quotes that are open at a word. They are not trusted over long stretches: real texts
 * forget to close them. */
static void nest(struct nesting *n, struct ft_word *w, const unsigned char *text) {
  uint32_t c = 0;
  unsigned bytes;
  if (w->flags & FT_WORD_MARK) c = code_point(text + w->begin, text + w->end, &bytes);
  if (c == '}' && n->brace > 0) n->brace--;
  if ((c == ')' || c == ']') && n->paren > 0) n->paren--;
  if (c == 0xBB || c == 0x201D) n->quote = false;
  if (w->flags & FT_WORD_PARAGRAPH) n->paren = 0, n->quote = false;
  w->flags |= (n->brace ? FT_WORD_BRACE : 0) | (n->paren ? FT_WORD_PAREN : 0) |
              (n->quote ? FT_WORD_QUOTE : 0);
  if (c == '{' && n->brace < 8) n->brace++;
  if ((c == '(' || c == '[') && n->paren < 8) n->paren++;
  if (c == 0xAB || c == 0x201C || c == 0x201E) n->quote = true;
  if (c == '"') n->quote = !n->quote;
}

/* The value of a numeral, as far as it matters for counting. */
static uint32_t value_of(const char *text, const struct ft_word *x) {
  uint32_t value = 0;
  for (uint32_t i = x->begin; i < x->end && value < 100000; i++)
    value = value * 10 + (uint32_t)(text[i] - '0');
  return value;
}

int ft_words_split(struct ft_words *w, const char *text, size_t len) {
  const unsigned char *base = (const unsigned char *)text, *p = base, *end = base + len;
  size_t room = len / 4 + 16, line_room = len / 24 + 16;
  memset(w, 0, sizeof *w);
  if (len >= (size_t)1 << 31) return -1;
  w->word = malloc(room * sizeof *w->word);
  w->line = malloc(line_room * sizeof *w->line);
  struct nesting nesting = {0, 0, false};
  unsigned breaks = 2; /* line ends since the last word */
  bool spaced = true;
  while (w->word && w->line) {
    unsigned n;
    while (p < end && kind_of(code_point(p, end, &n)) == SPACE) {
      breaks += *p == '\n';
      spaced = true;
      p += n;
    }
    if (w->lines + 2 > line_room) {
      line_room *= 2;
      uint32_t *more = realloc(w->line, line_room * sizeof *more);
      if (!more) break;
      w->line = more;
    }
    if (p >= end) {
      w->line[w->lines] = w->count;
      return 0;
    }
    if (w->count == room) {
      room *= 2;
      struct ft_word *more = realloc(w->word, room * sizeof *more);
      if (!more) break;
      w->word = more;
    }
    struct ft_word *word = &w->word[w->count];
    word->begin = (uint32_t)(p - base);
    p = read_word(word, p, end);
    word->end = (uint32_t)(p - base);
    word->value = word->flags & FT_WORD_DIGITS ? value_of(text, word) : 0;
    if (breaks || w->count == 0) w->line[w->lines++] = w->count;
    word->line = w->lines - 1;
    uint32_t column = w->count - w->line[word->line];
    word->column = (uint16_t)(column < 65535 ? column : 65535);
    word->flags |= (spaced ? FT_WORD_SPACED : 0) | (column == 0 ? FT_WORD_FIRST : 0) |
                   (breaks > 1 ? FT_WORD_PARAGRAPH : 0);
    nest(&nesting, word, base);
    w->count++;
    breaks = 0;
    spaced = false;
  }
  ft_words_free(w);
  return -1;
}

void ft_words_free(struct ft_words *w) {
  free(w->word);
  free(w->line);
  memset(w, 0, sizeof *w);
}

size_t ft_words_fold(const char *text, size_t len, char *out) {
  const unsigned char *p = (const unsigned char *)text, *end = p + len;
  size_t n = 0;
  while (p < end) {
    unsigned bytes;
    uint32_t c = code_point(p, end, &bytes), f = fold(c);
    if (f == c)
      memcpy(out + n, p, bytes), n += bytes;
    else if (f < 0x80)
      out[n++] = (char)f;
    else
      out[n++] = (char)(0xC0 | f >> 6),
      out[n++] = (char)(0x80 | (f & 0x3F)); /* all folded ones are below 0x800 */
    p += bytes;
  }
  return n;
}

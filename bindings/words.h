/* A text as words: what features are made of. Knows no Lua.
 *
 * A word is a run of letters and digits, or one mark; a line ends at "\n". Hashes ignore case
 * (Latin, Greek, Cyrillic). */
#ifndef FT_WORDS_H
#define FT_WORDS_H

#include <stddef.h>
#include <stdint.h>

enum ft_word_flag {
  FT_WORD_DIGITS = 1,    /* digits only */
  FT_WORD_MARK = 2,      /* one punctuation sign */
  FT_WORD_FIRST = 4,     /* first of its line */
  FT_WORD_PARAGRAPH = 8, /* an empty line, or the text's start, is before it */
  FT_WORD_SPACED = 16,   /* white space is before it */
  FT_WORD_BRACE = 32,    /* inside { } */
  FT_WORD_PAREN = 64,    /* inside ( ) or [ ] */
  FT_WORD_QUOTE = 128,   /* inside quotation marks */
};

struct ft_word {
  uint32_t begin, end;     /* bytes */
  uint32_t hash;           /* of the word, case folded */
  uint32_t key;            /* the same, but all numbers of one length are alike */
  uint32_t shape;          /* of its pattern of capitals, small letters and digits */
  uint32_t prefix, suffix; /* of three letters at its start and end */
  uint32_t stem;           /* of its first five letters */
  uint32_t line;           /* number of its line, from 0, empty lines not counted */
  uint32_t value;          /* of a numeral, at most about a million */
  uint16_t column;         /* words before it in its line, at most 65535 */
  uint8_t flags;
};

struct ft_words {
  struct ft_word *word; /* owned */
  uint32_t *line;       /* first word of each line; owned; lines + 1 entries, the last is count */
  uint32_t count, lines;
};

/* Splits a text of less than 2^31 bytes, any bytes. 0, or -1 when memory is short (w is then
 * empty). */
int ft_words_split(struct ft_words *w, const char *text, size_t len);

void ft_words_free(struct ft_words *w); /* idempotent; accepts a zeroed struct */

/* The text with letters made small, into out (room for 2 * len bytes). Returns its length. */
size_t ft_words_fold(const char *text, size_t len, char *out);

/* Two hashes, or a hash and a number, as one. */
static inline uint32_t ft_words_mix(uint32_t a, uint32_t b) {
  uint32_t h = a ^ (b * 0x9E3779B1u + 0x7F4A7C15u + (a << 6) + (a >> 2));
  h ^= h >> 15;
  h *= 0x85EBCA6Bu;
  return h ^ (h >> 13);
}

#endif

#include "jsonstring.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

static bool is_tail(char c) {
  return ((unsigned char)c & 0xC0) == 0x80;
}

size_t ft_utf8_length(const char *p, const char *end) {
  unsigned char c = (unsigned char)p[0];
  size_t left = (size_t)(end - p);
  if (c < 0x80) return 1;
  if (c < 0xC2 || c > 0xF4 || left < 2 || !is_tail(p[1])) return 0;
  if (c < 0xE0) return 2;
  unsigned char second = (unsigned char)p[1];
  if (c == 0xE0 && second < 0xA0) return 0; /* overlong */
  if (c == 0xED && second > 0x9F) return 0; /* surrogate */
  if (c == 0xF0 && second < 0x90) return 0; /* overlong */
  if (c == 0xF4 && second > 0x8F) return 0; /* above U+10FFFF */
  if (left < 3 || !is_tail(p[2])) return 0;
  if (c < 0xF0) return 3;
  return left >= 4 && is_tail(p[3]) ? 4 : 0;
}

static bool is_plain_ascii(unsigned char c) {
  return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

#ifdef __SSE2__
/* Goes on over plain characters of one to three bytes, 16 bytes at a time, and stops at the
 * beginning of a character that needs a closer look, or near the end. The tail bytes that a block
 * has must be those that its first bytes announce; E0 and ED, which restrict their second byte, and
 * four-byte characters are left to the caller. What it reads it copies to out, unless that is NULL:
 * perhaps more than it passes over. */
static inline const char *skip_blocks(const char *p, const char *end, char *out) {
  uint32_t announced = 0; /* bit i: byte i of the block must be a tail byte */
  while (end - p >= 16) {
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    if (out) {
      _mm_storeu_si128((__m128i *)(void *)out, v);
      out += 16;
    }
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1F)), v);
    __m128i quoting =
        _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
    uint32_t stop = (uint32_t)_mm_movemask_epi8(_mm_or_si128(control, quoting));
    uint32_t high = (uint32_t)_mm_movemask_epi8(v);
    uint32_t tails = 0, ahead = announced;
    if (high) { /* as signed bytes: tails are -128..-65, C2..DF -62..-33, E0..EF -32..-17 */
      tails = (uint32_t)_mm_movemask_epi8(_mm_cmplt_epi8(v, _mm_set1_epi8(-64)));
      __m128i below_e0 = _mm_cmplt_epi8(v, _mm_set1_epi8(-32));
      uint32_t two = (uint32_t)_mm_movemask_epi8(
          _mm_and_si128(_mm_cmpgt_epi8(v, _mm_set1_epi8(-63)), below_e0));
      uint32_t three = high & ~(uint32_t)_mm_movemask_epi8(
                                  _mm_or_si128(below_e0, _mm_cmpgt_epi8(v, _mm_set1_epi8(-17))));
      three &= ~(uint32_t)_mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8(-32)),
                                                         _mm_cmpeq_epi8(v, _mm_set1_epi8(-19))));
      stop |= high & ~(tails | two | three);
      ahead |= two << 1 | three << 1 | three << 2;
    }
    stop |= (tails ^ ahead) & 0xFFFF;
    if (stop) {
      unsigned i = (unsigned)__builtin_ctz(stop);
      announced = ahead >> i;
      p += i;
      break;
    }
    announced = ahead >> 16;
    p += 16;
  }
  if (announced & 1) { /* inside a character: back to its first byte */
    do p--;
    while (is_tail(*p));
  }
  return p;
}
#else
static inline const char *skip_blocks(const char *p, const char *end, char *out) {
  (void)end;
  (void)out;
  return p;
}
#endif

static inline size_t skip_plain(const char *begin, const char *end, char *out) {
  const char *p = begin;
  for (;;) {
    p = skip_blocks(p, end, out ? out + (p - begin) : NULL);
    for (; p < end && is_plain_ascii((unsigned char)*p); p++) { /* the last few bytes */
      if (out) out[p - begin] = *p;
    }
    if (p == end || (unsigned char)*p < 0x80) break;
    size_t n = ft_utf8_length(p, end);
    if (n == 0) break;
    if (out) memcpy(out + (p - begin), p, n);
    p += n;
  }
  return (size_t)(p - begin);
}

size_t ft_json_plain(const char *p, size_t len) {
  return skip_plain(p, p + len, NULL);
}

size_t ft_json_copy(char *out, const char *p, size_t len) {
  return skip_plain(p, p + len, out);
}

/* Whether the byte at p is escaped, by an odd number of backslashes from begin on. */
static bool is_escaped(const char *begin, const char *p) {
  const char *first = p;
  while (first > begin && first[-1] == '\\') first--;
  return (p - first) & 1;
}

/* Looks for quotes only: in a text they are rarer than escapes. */
const char *ft_json_quote(const char *begin, const char *end, bool *escaped) {
  const char *p = begin;
  for (;;) {
#ifdef __SSE2__
    if (end - p >= 16) { /* many strings are short, and the quotes of JSON inside a string close */
      unsigned found = (unsigned)_mm_movemask_epi8(
          _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)p), _mm_set1_epi8('"')));
      p = found ? p + __builtin_ctz(found) : memchr(p + 16, '"', (size_t)(end - p - 16));
    } else
#endif
      p = memchr(p, '"', (size_t)(end - p));
    if (!p) return NULL;
    if (!is_escaped(begin, p)) break;
    p++;
  }
  if (!*escaped) *escaped = memchr(begin, '\\', (size_t)(p - begin)) != NULL;
  return p;
}

/* ---- escapes ---- */

static int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int ft_json_hex4(const char *p, const char *end) {
  int value = 0;
  if (end - p < 4) return -1;
  for (int i = 0; i < 4; i++) {
    int digit = hex_value(p[i]);
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

static size_t put_utf8(char *out, uint32_t c) {
  if (c < 0x80) {
    out[0] = (char)c;
    return 1;
  }
  if (c < 0x800) {
    out[0] = (char)(0xC0 | c >> 6);
    out[1] = (char)(0x80 | (c & 63));
    return 2;
  }
  if (c < 0x10000) {
    out[0] = (char)(0xE0 | c >> 12);
    out[1] = (char)(0x80 | (c >> 6 & 63));
    out[2] = (char)(0x80 | (c & 63));
    return 3;
  }
  out[0] = (char)(0xF0 | c >> 18);
  out[1] = (char)(0x80 | (c >> 12 & 63));
  out[2] = (char)(0x80 | (c >> 6 & 63));
  out[3] = (char)(0x80 | (c & 63));
  return 4;
}

static size_t unescape_code(char *out, const char **at, const char *end) {
  const char *p = *at;
  uint32_t c = (uint32_t)ft_json_hex4(p + 2, end);
  *at = p + 6;
  if (c >= 0xD800 && c <= 0xDBFF) {
    c = 0x10000 + ((c - 0xD800) << 10) + ((uint32_t)ft_json_hex4(p + 8, end) - 0xDC00);
    *at = p + 12;
  }
  return put_utf8(out, c);
}

size_t ft_json_unescape_one(char *out, const char **at, const char *end) {
  static const char meanings[128] = {['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r',
                                     ['t'] = '\t', ['"'] = '"',  ['/'] = '/',  ['\\'] = '\\'};
  char meaning = meanings[(*at)[1] & 127];
  if (!meaning) return unescape_code(out, at, end);
  *out = meaning;
  *at += 2;
  return 1;
}

size_t ft_json_unescape(char *out, const char *raw, size_t len) {
  char *o = out;
  const char *end = raw + len;
  while (raw < end) {
#ifdef __SSE2__
    if (end - raw >= 16) { /* what is copied too much fits, and is written over */
      __m128i v = _mm_loadu_si128((const __m128i *)(const void *)raw);
      unsigned found = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
      size_t n = found ? (size_t)__builtin_ctz(found) : 16;
      _mm_storeu_si128((__m128i *)(void *)o, v);
      o += n;
      raw += n;
      if (found) o += ft_json_unescape_one(o, &raw, end);
      continue;
    }
#endif
    if (*raw == '\\')
      o += ft_json_unescape_one(o, &raw, end);
    else
      *o++ = *raw++;
  }
  return (size_t)(o - out);
}

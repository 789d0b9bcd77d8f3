#include "jsonscan.h"

#include <string.h>

#include "jsonstring.h"

/* What may come next. */
enum {
  VALUE,
  FIRST_ITEM,
  FIRST_KEY,
  AFTER_KEY,
  AFTER_VALUE,
  REST_OF_KEY, /* behind a fault in a string */
  REST_OF_STRING,
  FINISHED,
  FAILED,
};

void ft_json_init(struct ft_json *s) {
  *s = (struct ft_json){.expect = FINISHED};
  ft_json_keys_init(&s->keys);
}

void ft_json_free(struct ft_json *s) {
  ft_json_keys_free(&s->keys);
}

static enum ft_json_token fault(struct ft_json *s, const char *at, const char *code,
                                const char *message) {
  s->code = code;
  s->message = message;
  s->offset = (size_t)(at - s->text);
  s->expect = FAILED;
  return FT_JSON_FAULT;
}

/* A fault that can be passed over by going on at `resume`. */
static enum ft_json_token passable(struct ft_json *s, const char *at, const char *code,
                                   const char *message, const char *resume) {
  s->resume = resume;
  return fault(s, at, code, message);
}

/* ---- strings ---- */

/* Reads the escape at *p (a backslash) and moves *p behind it. */
static bool scan_escape(struct ft_json *s, const char **at) {
  static const bool known[256] = {['"'] = true, ['\\'] = true, ['/'] = true, ['b'] = true,
                                  ['f'] = true, ['n'] = true,  ['r'] = true, ['t'] = true};
  const char *p = *at;
  if (p + 1 == s->end) return fault(s, s->end, "syntax", "the text ends inside a string");
  if (p[1] != 'u') {
    if (p[1] == '\0') return fault(s, p + 1, "nul", "a NUL byte");
    if (!known[(unsigned char)p[1]])
      return passable(s, p, "syntax", "an escape that JSON does not know", p + 1);
    *at = p + 2;
    return true;
  }
  int unit = ft_json_hex4(p + 2, s->end);
  if (unit < 0) return passable(s, p, "syntax", "\\u needs four hexadecimal digits", p + 2);
  *at = p + 6;
  if (unit < 0xD800 || unit > 0xDFFF) return true;
  if (unit < 0xDC00 && s->end - p >= 12 && p[6] == '\\' && p[7] == 'u') {
    int low = ft_json_hex4(p + 8, s->end);
    if (low >= 0xDC00 && low <= 0xDFFF) {
      *at = p + 12;
      return true;
    }
  }
  return passable(s, p, "surrogate", "half of a surrogate pair", p + 6);
}

/* Behind a run of bytes that are no UTF-8: one fault, however long. */
static const char *end_of_junk(const char *p, const char *end) {
  do p++;
  while (p < end && (unsigned char)*p >= 0x80 && ft_utf8_length(p, end) == 0);
  return p;
}

/* Reads a string on from s->p. */
static bool scan_rest(struct ft_json *s) {
  const char *p = s->sound ? ft_json_quote(s->p, s->end, &s->escaped) : s->p;
  while (!s->sound) {
    p += ft_json_plain(p, (size_t)(s->end - p));
    if (p == s->end) return fault(s, p, "syntax", "the text ends inside a string");
    if (*p == '"') break;
    if (*p == '\\') {
      s->escaped = true;
      if (!scan_escape(s, &p)) return false;
    } else if (*p == '\0') {
      return passable(s, p, "nul", "a NUL byte", p + 1);
    } else if ((unsigned char)*p < 0x20) {
      return passable(s, p, "control",
                      "a control character inside a string (write \\n, \\t or \\u00XX)", p + 1);
    } else {
      return passable(s, p, "utf8", "invalid UTF-8", end_of_junk(p, s->end));
    }
  }
  if (!p) return fault(s, s->end, "syntax", "the text ends inside a string");
  s->len = (size_t)(p - s->start);
  s->p = p + 1;
  return true;
}

/* Reads a string whose first byte behind the quote is s->p. */
static bool scan_string(struct ft_json *s) {
  s->start = s->p;
  s->escaped = false;
  return scan_rest(s);
}

/* ---- numbers and words ---- */

static bool is_digit(const char *p, const char *end) {
  return p < end && *p >= '0' && *p <= '9';
}

static bool is_word(const char *p, const char *end) {
  if (p == end) return false;
  char c = *p;
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == '+' || c == '-';
}

static enum ft_json_token scan_number(struct ft_json *s) {
  const char *p = s->p, *end = s->end;
  enum ft_json_token token = FT_JSON_INTEGER;
  s->start = p;
  if (*p == '-') p++;
  if (!is_digit(p, end)) return fault(s, p, "number", "expected a digit: JSON has no Infinity");
  if (*p == '0') {
    p++;
    if (is_digit(p, end)) return fault(s, p, "number", "a number with a leading zero");
  } else {
    while (is_digit(p, end)) p++;
  }
  if (p < end && *p == '.') {
    token = FT_JSON_NUMBER;
    p++;
    if (!is_digit(p, end)) return fault(s, p, "number", "expected a digit after the decimal point");
    while (is_digit(p, end)) p++;
  }
  if (p < end && (*p == 'e' || *p == 'E')) {
    token = FT_JSON_NUMBER;
    p++;
    if (p < end && (*p == '+' || *p == '-')) p++;
    if (!is_digit(p, end)) return fault(s, p, "number", "expected a digit in the exponent");
    while (is_digit(p, end)) p++;
  }
  if (is_word(p, end)) return fault(s, p, "number", "a number ends in something else");
  s->len = (size_t)(p - s->start);
  s->p = p;
  return token;
}

static bool begins(const struct ft_json *s, const char *word) {
  size_t n = strlen(word);
  return (size_t)(s->end - s->p) >= n && memcmp(s->p, word, n) == 0;
}

/* What to say about a byte that cannot stand here. */
static enum ft_json_token unexpected(struct ft_json *s, const char *expected) {
  const char *p = s->p;
  if (p == s->end) return fault(s, p, "syntax", "the text ends too early");
  if (*p == '\0') return fault(s, p, "nul", "a NUL byte");
  if (ft_utf8_length(p, s->end) == 0) return fault(s, p, "utf8", "invalid UTF-8");
  if (*p == '\'') return fault(s, p, "syntax", "strings and keys stand in double quotes");
  if (*p == '/' || *p == '#') return fault(s, p, "syntax", "JSON has no comments");
  return fault(s, p, "syntax", expected);
}

static enum ft_json_token word(struct ft_json *s, const char *text, enum ft_json_token token) {
  size_t n = strlen(text);
  if (!begins(s, text) || is_word(s->p + n, s->end)) return unexpected(s, "expected a value");
  s->start = s->p;
  s->len = n;
  s->p += n;
  s->expect = AFTER_VALUE;
  return token;
}

/* ---- structure ---- */

static void skip_space(struct ft_json *s) {
  const char *p = s->p;
  while (p < s->end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) p++;
  s->p = p;
}

static enum ft_json_token open_level(struct ft_json *s, bool object) {
  if (s->depth == FT_JSON_MAX_DEPTH)
    return fault(s, s->p, "depth", "nested more than 512 levels deep");
  s->levels[s->depth].object = object;
  s->levels[s->depth].first_key = s->keys.count;
  s->depth++;
  s->start = s->p++;
  s->len = 1;
  s->expect = object ? FIRST_KEY : FIRST_ITEM;
  return object ? FT_JSON_OBJECT : FT_JSON_ARRAY;
}

static enum ft_json_token close_level(struct ft_json *s) {
  s->depth--;
  ft_json_keys_drop(&s->keys, s->levels[s->depth].first_key);
  s->start = s->p++;
  s->len = 1;
  s->expect = AFTER_VALUE;
  return s->levels[s->depth].object ? FT_JSON_OBJECT_END : FT_JSON_ARRAY_END;
}

static enum ft_json_token scan_value(struct ft_json *s) {
  enum ft_json_token token;
  if (s->p == s->end)
    return s->depth ? unexpected(s, "") : fault(s, s->p, "empty", "no JSON value");
  switch (*s->p) {
  case '{':
    return open_level(s, true);
  case '[':
    return open_level(s, false);
  case '"':
    s->p++;
    s->expect = AFTER_VALUE;
    s->after_fault = REST_OF_STRING;
    return scan_string(s) ? FT_JSON_STRING : FT_JSON_FAULT;
  case 't':
    return word(s, "true", FT_JSON_TRUE);
  case 'f':
    return word(s, "false", FT_JSON_FALSE);
  case 'n':
    return word(s, "null", FT_JSON_NULL);
  case 'N':
  case 'I':
    if (begins(s, "NaN") || begins(s, "Inf"))
      return fault(s, s->p, "number", "JSON has no NaN and no Infinity");
    return unexpected(s, "expected a value");
  case '+':
  case '.':
    return fault(s, s->p, "number", "a number begins with a digit or '-'");
  default:
    if (*s->p != '-' && !is_digit(s->p, s->end)) return unexpected(s, "expected a value");
    token = scan_number(s);
    if (token != FT_JSON_FAULT) s->expect = AFTER_VALUE;
    return token;
  }
}

static enum ft_json_token after_key(struct ft_json *s) {
  skip_space(s);
  if (s->p == s->end || *s->p != ':') return unexpected(s, "expected ':' after the key");
  s->p++;
  s->expect = VALUE;
  return FT_JSON_KEY;
}

/* A key and the colon behind it. */
static enum ft_json_token scan_key(struct ft_json *s) {
  if (s->p == s->end || *s->p != '"') return unexpected(s, "expected a key in double quotes");
  s->p++;
  s->after_fault = REST_OF_KEY;
  if (!scan_string(s)) return FT_JSON_FAULT;
  size_t first = s->levels[s->depth - 1].first_key;
  int added = ft_json_keys_add(&s->keys, s->start, s->len, s->escaped, first, s->depth);
  if (added < 0) return fault(s, s->start, "memory", "not enough memory");
  if (!added) {
    s->after_fault = AFTER_KEY;
    return passable(s, s->start - 1, "duplicate_key", "a key that the object has already", s->p);
  }
  return after_key(s);
}

static enum ft_json_token after_value(struct ft_json *s) {
  bool at_end = s->p == s->end;
  if (s->depth == 0) {
    s->expect = FINISHED;
    if (at_end) return FT_JSON_END;
    if (*s->p == '\0') return fault(s, s->p, "nul", "a NUL byte");
    return fault(s, s->p, "trailing", "something follows the JSON value");
  }
  bool object = s->levels[s->depth - 1].object;
  if (!at_end && *s->p == ',') {
    s->p++;
    skip_space(s);
    return object ? scan_key(s) : scan_value(s);
  }
  if (!at_end && *s->p == (object ? '}' : ']')) return close_level(s);
  return unexpected(s, object ? "expected ',' or '}'" : "expected ',' or ']'");
}

void ft_json_start(struct ft_json *s, const char *text, size_t len) {
  ft_json_keys_drop(&s->keys, 0);
  s->text = s->p = s->start = text;
  s->resume = NULL;
  s->sound = false;
  s->end = text + len;
  s->len = 0;
  s->depth = 0;
  s->expect = VALUE;
  if (begins(s, "\xEF\xBB\xBF")) fault(s, text, "bom", "a byte order mark at the beginning");
  if (begins(s, "\xFF\xFE") || begins(s, "\xFE\xFF"))
    fault(s, text, "bom", "UTF-16; JSON text is UTF-8");
}

bool ft_json_recover(struct ft_json *s) {
  if (s->expect != FAILED || !s->resume) return false;
  s->p = s->resume;
  s->resume = NULL;
  s->expect = s->after_fault;
  return true;
}

/* The rest of a string behind a fault. A key is not compared with others: its bytes mean nothing.
 */
static enum ft_json_token rest(struct ft_json *s) {
  bool key = s->expect == REST_OF_KEY;
  if (!scan_rest(s)) return FT_JSON_FAULT;
  if (key) return after_key(s);
  s->expect = AFTER_VALUE;
  return FT_JSON_STRING;
}

enum ft_json_token ft_json_next(struct ft_json *s) {
  if (s->expect == FAILED) return FT_JSON_FAULT;
  if (s->expect == REST_OF_KEY || s->expect == REST_OF_STRING) return rest(s);
  skip_space(s);
  switch (s->expect) {
  case AFTER_KEY:
    return after_key(s);
  case FIRST_ITEM:
    return s->p < s->end && *s->p == ']' ? close_level(s) : scan_value(s);
  case FIRST_KEY:
    return s->p < s->end && *s->p == '}' ? close_level(s) : scan_key(s);
  case VALUE:
    return scan_value(s);
  case AFTER_VALUE:
    return after_value(s);
  default:
    return FT_JSON_END;
  }
}

/* What stands between the quotes of a JSON string: UTF-8 and escapes. */
#ifndef FT_JSONSTRING_H
#define FT_JSONSTRING_H

#include <stdbool.h>
#include <stddef.h>

/* Length of the valid UTF-8 character at p < end, or 0. */
size_t ft_utf8_length(const char *p, const char *end);

/* Length of the longest beginning of p that can stand in a JSON string as it is: whole UTF-8
 * characters, no quote, backslash or control character. */
size_t ft_json_plain(const char *p, size_t len);

/* The same, and copies it to out, which has room for len: all of that may be written to. */
size_t ft_json_copy(char *out, const char *p, size_t len);

/* The quote at which a string ends that was found valid before, or NULL: there is none. *escaped
 * becomes true at a backslash. */
const char *ft_json_quote(const char *begin, const char *end, bool *escaped);

/* The value of the four hexadecimal digits at p, or -1. */
int ft_json_hex4(const char *p, const char *end);

/* Writes the bytes that the valid escape at *p means, at most 4, and moves *p behind it; returns
 * how many. */
size_t ft_json_unescape_one(char *out, const char **p, const char *end);

/* Writes the bytes that a valid string means to out, which has room for len and is no part of raw;
 * returns how many. */
size_t ft_json_unescape(char *out, const char *raw, size_t len);

#endif

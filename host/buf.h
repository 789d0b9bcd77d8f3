/* Growing bytes with a mandatory limit. A buffer never grows past its limit: an adder that would
 * pass it, or that finds no memory, frees the buffer and returns -1, so that callers may chain
 * adders and check once. All other bytes sized by input live in one of these. */
#ifndef FT_BUF_H
#define FT_BUF_H

#include <stddef.h>

struct ft_buf {
  char *data;   /* NUL-terminated when not NULL; owned */
  size_t len;   /* bytes in use, without the NUL */
  size_t cap;   /* bytes allocated */
  size_t limit; /* most bytes that len may reach */
  int failed;   /* set by the first adder that failed, cleared by ft_buf_init only */
};

/* An empty buffer that may hold up to limit bytes. Allocates nothing. */
void ft_buf_init(struct ft_buf *b, size_t limit);

/* Releases the bytes; the buffer is empty and usable again. Accepts an empty buffer. */
void ft_buf_free(struct ft_buf *b);

/* The same after overwriting the bytes, for secrets. (Reserve first: growing may leave copies
 * behind.) */
void ft_buf_wipe(struct ft_buf *b);

/* Forgets the bytes, keeps the memory. */
void ft_buf_reset(struct ft_buf *b);

/* Append bytes, a string, one byte, or a printf-formatted string. 0, or -1 (limit or memory). */
int ft_buf_add(struct ft_buf *b, const void *bytes, size_t len);
int ft_buf_adds(struct ft_buf *b, const char *s);
int ft_buf_addc(struct ft_buf *b, char c);
int ft_buf_addf(struct ft_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Makes room for extra more bytes without changing len. 0, or -1. */
int ft_buf_reserve(struct ft_buf *b, size_t extra);

/* Drops the first n bytes (n <= len); the rest moves to the front. */
void ft_buf_drop(struct ft_buf *b, size_t n);

#endif

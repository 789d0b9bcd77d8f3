/* The lines of a text file, plain or gzip (its first bytes decide), one after another in constant
 * memory. Knows no Lua.
 *
 *   ft_lines_init(&l, max_line);
 *   if (ft_lines_open(&l, path)) while (ft_lines_next(&l)) use(l.text, l.len);
 *   if (l.code) say(l.code, l.message);
 *   ft_lines_close(&l);
 */
#ifndef FT_LINES_H
#define FT_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <zlib.h>

struct ft_lines {
  /* The current line, without its end. The bytes stay until the next call. */
  const char *text;
  size_t len;
  size_t end;               /* bytes of its end: 0 (the file's last), 1 ("\n") or 2 ("\r\n") */
  long long number, offset; /* from 1; bytes of text before it */

  long long done, total; /* bytes on disk: read, in all */

  /* The fault that ended the reading: NULL, "io" (see errnum), "gzip", "memory", "interrupted" (by
   * a signal, while a pipe or terminal let wait), or "too_long", which alone can be passed over. */
  const char *code, *message;
  int errnum;

  /* private */
  int fd;
  bool may_wait; /* a pipe or terminal */
  size_t max_line;
  char *buf;                    /* NULL: closed */
  size_t cap, at, filled, seen; /* no line break in buf[at, seen) */
  bool at_end;
  unsigned char *packed; /* NULL: plain */
  z_stream z;
  bool inflating, member_end;
};

/* A closed reader; acquires nothing. Lines longer than max_line bytes are faults. */
void ft_lines_init(struct ft_lines *l, size_t max_line);

/* Opens a file, or standard input for "-". False: a fault, and closed. */
bool ft_lines_open(struct ft_lines *l, const char *path);

/* The next line; false at the end and on a fault, which stays. */
bool ft_lines_next(struct ft_lines *l);

/* After "too_long": drops the rest of that line, so that ft_lines_next goes on behind it. False: a
 * fault. */
bool ft_lines_skip(struct ft_lines *l);

/* Bytes on disk that the lines given so far took. */
long long ft_lines_used(const struct ft_lines *l);

/* Idempotent; keeps the fault. */
void ft_lines_close(struct ft_lines *l);

#endif

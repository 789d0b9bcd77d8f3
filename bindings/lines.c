#include "lines.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../host/signals.h"

enum { BLOCK = 1 << 17, GZIP_WINDOW = 15 + 16 };

void ft_lines_init(struct ft_lines *l, size_t max_line) {
  *l = (struct ft_lines){.fd = -1, .max_line = max_line};
}

void ft_lines_close(struct ft_lines *l) {
  if (l->fd > STDIN_FILENO) close(l->fd);
  l->fd = -1;
  if (l->inflating) inflateEnd(&l->z);
  l->inflating = false;
  free(l->buf);
  free(l->packed);
  l->buf = NULL;
  l->packed = NULL;
  l->text = NULL;
  l->len = 0;
}

static bool fault(struct ft_lines *l, const char *code, const char *message) {
  l->code = code;
  l->message = message;
  return false;
}

/* Waits until a read will not; false when a signal comes first, as nobody else would hear it. */
static bool await_bytes(struct ft_lines *l) {
  struct pollfd fds[2] = {{.fd = l->fd, .events = POLLIN},
                          {.fd = ft_signals_fd(), .events = POLLIN}};
  while (poll(fds, 2, -1) < 0 && errno == EINTR) {
  }
  return !fds[1].revents || fault(l, "interrupted", "interrupted");
}

/* Reads bytes of the file. */
static bool read_some(struct ft_lines *l, void *to, size_t room, size_t *got) {
  ssize_t n;
  if (l->may_wait && !await_bytes(l)) return false;
  do n = read(l->fd, to, room);
  while (n < 0 && errno == EINTR);
  *got = n > 0 ? (size_t)n : 0;
  l->done += (long long)*got;
  if (n >= 0) return true;
  l->errnum = errno;
  return fault(l, "io", "");
}

/* Reads text behind buf[filled], at most room bytes; at_end when there is no more. */
static bool inflate_some(struct ft_lines *l, size_t room) {
  size_t got;
  l->z.next_out = (unsigned char *)l->buf + l->filled;
  l->z.avail_out = (unsigned)room;
  while (l->z.avail_out == room) {
    if (l->z.avail_in == 0) {
      if (!read_some(l, l->packed, BLOCK, &got)) return false;
      if (got == 0) {
        l->at_end = true;
        return l->member_end || fault(l, "gzip", "the gzip file is cut off");
      }
      l->z.next_in = l->packed;
      l->z.avail_in = (unsigned)got;
    }
    if (l->member_end) inflateReset(&l->z); /* gzip files may be joined */
    int status = inflate(&l->z, Z_NO_FLUSH);
    l->member_end = status == Z_STREAM_END;
    if (status == Z_MEM_ERROR) return fault(l, "memory", "");
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
      return fault(l, "gzip", "the gzip file is damaged");
  }
  l->filled += room - l->z.avail_out;
  return true;
}

/* Makes room behind buf[filled], by moving the text to the front or by growing: at most twice the
 * longest line. */
static bool make_room(struct ft_lines *l) {
  if (l->at > 0 && l->at >= l->cap / 2) {
    memmove(l->buf, l->buf + l->at, l->filled - l->at);
    l->filled -= l->at;
    l->seen -= l->at;
    l->at = 0;
  }
  if (l->filled < l->cap) return true;
  char *buf = realloc(l->buf, 2 * l->cap);
  if (!buf) return fault(l, "memory", "");
  l->buf = buf;
  l->cap *= 2;
  return true;
}

static bool fill(struct ft_lines *l) {
  size_t got;
  if (!make_room(l)) return false;
  size_t room = l->cap - l->filled < BLOCK ? l->cap - l->filled : BLOCK;
  if (l->packed) return inflate_some(l, room);
  if (!read_some(l, l->buf + l->filled, room, &got)) return false;
  l->filled += got;
  l->at_end = got == 0;
  return true;
}

/* Decides by the first bytes whether the file is packed. */
static bool begin(struct ft_lines *l) {
  size_t got;
  while (l->filled < 2) {
    if (!read_some(l, l->buf + l->filled, BLOCK, &got)) return false;
    l->filled += got;
    if (got == 0) break;
  }
  if (l->filled < 2 || memcmp(l->buf, "\x1F\x8B", 2) != 0) return true;
  l->packed = malloc(BLOCK + 1);
  if (!l->packed || inflateInit2(&l->z, GZIP_WINDOW) != Z_OK) return fault(l, "memory", "");
  l->inflating = true;
  memcpy(l->packed, l->buf, l->filled);
  l->z.next_in = l->packed;
  l->z.avail_in = (unsigned)l->filled;
  l->filled = 0;
  return true;
}

bool ft_lines_open(struct ft_lines *l, const char *path) {
  struct stat st;
  l->buf = malloc(2 * BLOCK);
  if (!l->buf) return fault(l, "memory", "");
  l->cap = 2 * BLOCK;
  l->fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
  if (l->fd < 0 || fstat(l->fd, &st)) {
    l->errnum = errno;
    fault(l, "io", "");
  } else {
    l->may_wait = !S_ISREG(st.st_mode);
    l->total = l->may_wait ? 0 : st.st_size;
    begin(l);
  }
  if (l->code) ft_lines_close(l);
  return !l->code;
}

/* Finds the line at `at`; its length without its end goes to *len, and with it to *whole. False:
 * none, or a fault. */
static bool find_line(struct ft_lines *l, size_t *len, size_t *whole) {
  for (;;) {
    const char *text = l->buf + l->at;
    const char *end = memchr(l->buf + l->seen, '\n', l->filled - l->seen);
    *whole = end ? (size_t)(end - text) + 1 : l->filled - l->at;
    *len = end ? *whole - 1 : *whole;
    if (end && *len && text[*len - 1] == '\r') --*len;
    l->seen = l->at + *whole;
    /* a "\r" at the end of what is there may yet belong to the line's end */
    if (*len > l->max_line + (end ? 0 : 1)) return fault(l, "too_long", "");
    if (end) return true;
    if (l->at_end) break;
    if (!fill(l)) return false;
  }
  if (*len > l->max_line) return fault(l, "too_long", "");
  return *whole > 0;
}

static void take(struct ft_lines *l, size_t len, size_t whole) {
  l->text = l->buf + l->at;
  l->len = len;
  l->end = whole - len;
  l->at += whole;
  l->seen = l->at;
}

bool ft_lines_next(struct ft_lines *l) {
  size_t len, whole;
  if (l->code || !l->buf) return false;
  l->offset += (long long)(l->len + l->end);
  l->len = l->end = 0;
  if (!find_line(l, &len, &whole)) {
    if (l->code) l->number++; /* too_long: of this line */
    return false;
  }
  l->number++;
  take(l, len, whole);
  return true;
}

bool ft_lines_skip(struct ft_lines *l) {
  l->code = l->message = NULL;
  for (;;) {
    const char *text = l->buf + l->at;
    const char *end = memchr(text, '\n', l->filled - l->at);
    size_t n = end ? (size_t)(end - text) + 1 : l->filled - l->at;
    l->offset += (long long)n;
    l->at += n;
    l->seen = l->at;
    if (end || l->at_end) return true;
    if (!fill(l)) return false;
  }
}

long long ft_lines_used(const struct ft_lines *l) {
  return l->done - (long long)(l->packed ? l->z.avail_in : l->filled - l->at);
}

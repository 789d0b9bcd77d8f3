#include "http_slice.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct ft_http_slice {
  int fd;
  off_t from, at;
  curl_off_t bytes;
};

const char *ft_http_slice_open(struct ft_http_slice **slice, const char *path, double from,
                               double bytes) {
  struct stat st;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return strerror(errno);
  const char *why = fstat(fd, &st) ? strerror(errno) : S_ISREG(st.st_mode) ? NULL : "not a file";
  struct ft_http_slice *s = why ? NULL : malloc(sizeof *s);
  if (!s) {
    close(fd);
    return why ? why : strerror(ENOMEM);
  }
  double size = (double)st.st_size;
  if (from > size) from = size;
  if (bytes > size - from) bytes = size - from;
  *s = (struct ft_http_slice){fd, (off_t)from, (off_t)from, (curl_off_t)bytes};
  *slice = s;
  return NULL;
}

void ft_http_slice_free(struct ft_http_slice *slice) {
  if (!slice) return;
  close(slice->fd);
  free(slice);
}

static size_t slice_read(char *to, size_t size, size_t n, void *user) {
  struct ft_http_slice *s = user;
  off_t left = s->from + s->bytes - s->at;
  size_t want = size * n;
  if (left < (off_t)want) want = (size_t)left;
  ssize_t got;
  do got = pread(s->fd, to, want, s->at);
  while (got < 0 && errno == EINTR);
  if (got < 0 || (got == 0 && want)) return CURL_READFUNC_ABORT; /* unreadable, or cut meanwhile */
  s->at += got;
  return (size_t)got;
}

static int slice_seek(void *user, curl_off_t offset, int origin) {
  struct ft_http_slice *s = user;
  if (origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  s->at = s->from + offset;
  return CURL_SEEKFUNC_OK;
}

static void slice_drop(void *user) {
  ft_http_slice_free(user);
}

CURLcode ft_http_slice_to_part(struct ft_http_slice *slice, curl_mimepart *part) {
  CURLcode code = curl_mime_data_cb(part, slice->bytes, slice_read, slice_seek, slice_drop, slice);
  if (code) ft_http_slice_free(slice);
  return code;
}

void ft_http_slice_to_body(struct ft_http_slice *slice, CURL *easy) {
  curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, slice->bytes);
  curl_easy_setopt(easy, CURLOPT_READFUNCTION, slice_read);
  curl_easy_setopt(easy, CURLOPT_READDATA, slice);
  curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, slice_seek);
  curl_easy_setopt(easy, CURLOPT_SEEKDATA, slice);
}

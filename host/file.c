#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_TRIES = 100 };

int ft_write_all(int fd, const void *bytes, size_t len) {
  const char *p = bytes;
  while (len) {
    ssize_t n = write(fd, p, len);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return EIO;
    p += n;
    len -= (size_t)n;
  }
  return 0;
}

ssize_t ft_read_full(int fd, void *bytes, size_t len) {
  size_t done = 0;
  while (done < len) {
    ssize_t n = read(fd, (char *)bytes + done, len - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    if (n == 0) break;
    done += (size_t)n;
  }
  return (ssize_t)done;
}

/* Length of the folder's part of path, with its last slash; 0: the current folder. */
static size_t folder_length(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? (size_t)(slash - path) + 1 : 0;
}

int ft_sync_folder_of(const char *path) {
  char folder[PATH_MAX];
  size_t n = folder_length(path);
  if (n >= sizeof folder) return ENAMETOOLONG;
  memcpy(folder, path, n);
  folder[n] = '\0';
  int fd = open(n ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno;
  int errnum = fsync(fd) ? errno : 0;
  close(fd);
  /* some file systems cannot sync a folder, and then need not */
  return errnum == EINVAL || errnum == EROFS ? 0 : errnum;
}

/* Creates the file beside d->path, under a short name that is not taken. */
static int create_beside(struct ft_draft *d, mode_t mode) {
  size_t n = folder_length(d->path);
  for (int i = 0; i < NAME_TRIES; i++) {
    uint64_t r;
    if (getrandom(&r, sizeof r, 0) != sizeof r) return EIO;
    int len = snprintf(d->temp, sizeof d->temp, "%.*s.ftrun-%016llx", (int)n, d->path,
                       (unsigned long long)r);
    if (len < 0 || (size_t)len >= sizeof d->temp) return ENAMETOOLONG;
    d->fd = open(d->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (d->fd >= 0) return 0;
    if (errno != EEXIST) return errno;
  }
  return EEXIST;
}

int ft_draft_open(struct ft_draft *d, const char *path, mode_t mode) {
  struct stat st;
  *d = (struct ft_draft)FT_DRAFT_INIT;
  int exists = stat(path, &st) == 0;
  if (!exists && errno != ENOENT) return errno;
  if (exists && S_ISDIR(st.st_mode)) return EISDIR;
  if (exists && !S_ISREG(st.st_mode)) {
    if (strlen(path) < sizeof d->path) memcpy(d->path, path, strlen(path) + 1); /* for messages */
    d->fd = open(path, O_WRONLY | O_CLOEXEC);
    return d->fd < 0 ? errno : 0;
  }
  if (exists) {
    if (!realpath(path, d->path)) return errno;
  } else {
    size_t len = strlen(path);
    if (len >= sizeof d->path) return ENAMETOOLONG;
    if (len == 0 || path[len - 1] == '/') return len ? EISDIR : ENOENT;
    memcpy(d->path, path, len + 1);
  }
  int errnum = create_beside(d, mode);
  if (errnum) {
    d->temp[0] = '\0';
    return errnum;
  }
  if (exists) {
    /* the owner is kept where we may, else the file is ours now: no reason to refuse the write */
    if (fchown(d->fd, st.st_uid, st.st_gid) == 0 || st.st_uid == geteuid())
      errnum = fchmod(d->fd, st.st_mode & 0777) ? errno : 0;
    if (errnum) ft_draft_drop(d);
  }
  return errnum;
}

int ft_draft_commit(struct ft_draft *d) {
  int errnum = fsync(d->fd) ? errno : 0;
  if (!d->temp[0] && (errnum == EINVAL || errnum == EROFS))
    errnum = 0; /* pipes have nothing to sync */
  if (close(d->fd) && !errnum && errno != EINTR) errnum = errno;
  d->fd = -1;
  if (!errnum && d->temp[0] && rename(d->temp, d->path)) errnum = errno;
  if (!errnum && d->temp[0]) {
    d->temp[0] = '\0';
    errnum = ft_sync_folder_of(d->path);
  }
  ft_draft_drop(d);
  return errnum;
}

void ft_draft_drop(struct ft_draft *d) {
  if (d->fd >= 0) close(d->fd);
  d->fd = -1;
  if (d->temp[0]) unlink(d->temp);
  d->temp[0] = '\0';
}

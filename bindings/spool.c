#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../host/file.h"

enum { HINT_BLOCKS = 64 };

static char *block(struct ft_spool *s, size_t n) {
  return s->blocks + n % FT_SPOOL_BLOCKS * FT_SPOOL_BLOCK;
}

/* The system is asked now and then to begin with writing to the disk: whoever syncs the file at the
 * end has less to wait for. A hint only. */
static int put(struct ft_spool *s, const char *bytes, size_t len) {
  if (!EVP_DigestUpdate(s->hash, bytes, len)) return EIO;
  int errnum = ft_write_all(s->fd, bytes, len);
  if (!errnum && (s->written + 1) % HINT_BLOCKS == 0)
    sync_file_range(s->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
  return errnum;
}

/* Hashes and writes the oldest block. The lock is held before and after. */
static void write_block(struct ft_spool *s) {
  const char *bytes = block(s, s->written);
  int errnum = s->errnum;
  s->busy = true;
  pthread_mutex_unlock(&s->lock);
  if (!errnum) errnum = put(s, bytes, FT_SPOOL_BLOCK);
  pthread_mutex_lock(&s->lock);
  s->busy = false;
  s->errnum = errnum;
  s->written++;
  pthread_cond_broadcast(&s->change);
}

static void *run(void *arg) {
  struct ft_spool *s = arg;
  pthread_mutex_lock(&s->lock);
  while (!s->ending) {
    if (s->busy || s->written == s->filled)
      pthread_cond_wait(&s->change, &s->lock);
    else
      write_block(s);
  }
  pthread_mutex_unlock(&s->lock);
  return NULL;
}

/* Waits until at most `most` blocks wait, and helps: also when there is no thread. */
static int drain(struct ft_spool *s, size_t most) {
  while (s->filled - s->written > most) {
    if (s->busy)
      pthread_cond_wait(&s->change, &s->lock);
    else
      write_block(s);
  }
  return s->errnum;
}

static void start_thread(struct ft_spool *s) {
  sigset_t all, before; /* signals are for the thread that runs the loop */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  s->threaded = pthread_create(&s->thread, NULL, run, s) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void stop_thread(struct ft_spool *s) {
  if (!s->threaded) return;
  pthread_mutex_lock(&s->lock);
  s->ending = true;
  pthread_cond_broadcast(&s->change);
  pthread_mutex_unlock(&s->lock);
  pthread_join(s->thread, NULL);
  s->threaded = false;
}

int ft_spool_open(struct ft_spool *s, int fd) {
  *s = (struct ft_spool){.fd = fd};
  s->hash = EVP_MD_CTX_new();
  s->blocks = malloc((size_t)FT_SPOOL_BLOCKS * FT_SPOOL_BLOCK);
  if (s->hash && s->blocks && EVP_DigestInit_ex(s->hash, EVP_sha256(), NULL)) {
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->change, NULL);
    return 0;
  }
  EVP_MD_CTX_free(s->hash);
  free(s->blocks);
  s->blocks = NULL;
  return ENOMEM;
}

/* The block that was being filled is full. Leaves room for the next one. */
static int next_block(struct ft_spool *s) {
  if (!s->threaded && s->filled == 0) start_thread(s);
  pthread_mutex_lock(&s->lock);
  s->filled++;
  pthread_cond_broadcast(&s->change);
  int errnum = drain(s, s->threaded ? FT_SPOOL_BLOCKS - 1 : 0);
  pthread_mutex_unlock(&s->lock);
  s->used = 0;
  return errnum;
}

int ft_spool_add(struct ft_spool *s, const void *bytes, size_t len) {
  const char *p = bytes;
  while (len) {
    size_t n = FT_SPOOL_BLOCK - s->used;
    if (n > len) n = len;
    memcpy(block(s, s->filled) + s->used, p, n);
    s->used += n;
    p += n;
    len -= n;
    int errnum = s->used == FT_SPOOL_BLOCK ? next_block(s) : 0;
    if (errnum) return errnum;
  }
  return 0;
}

int ft_spool_end(struct ft_spool *s, unsigned char digest[EVP_MAX_MD_SIZE], unsigned *len) {
  pthread_mutex_lock(&s->lock);
  int errnum = drain(s, 0);
  pthread_mutex_unlock(&s->lock);
  stop_thread(s);
  if (!errnum) errnum = put(s, block(s, s->filled), s->used);
  if (!errnum && !EVP_DigestFinal_ex(s->hash, digest, len)) errnum = EIO;
  return errnum;
}

void ft_spool_close(struct ft_spool *s) {
  if (!s->blocks) return;
  stop_thread(s);
  pthread_mutex_destroy(&s->lock);
  pthread_cond_destroy(&s->change);
  EVP_MD_CTX_free(s->hash);
  free(s->blocks);
  s->blocks = NULL;
}
